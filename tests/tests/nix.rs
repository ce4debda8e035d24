//! The flake: its outputs, its guests that boot, flakes of others that use it, and flakes as sources
//! of the program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::nix::{Nix, Running, refused, run, said, words};

/// An emulated guest, with a builder or two beside it.
const BOOT: Duration = Duration::from_secs(240);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn with(words: &[&str], more: Vec<String>) -> Vec<String> {
    words
        .iter()
        .map(|word| (*word).to_owned())
        .chain(more)
        .collect()
}

fn nix(nix: &Nix, words: &[&str], more: Vec<String>) -> Command {
    let words = with(words, more);
    nix.nix(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn generated_files_are_up_to_date() {
    for (verb, file) in [
        ("table", "nix/options/table.json"),
        ("handbook", "docs/options.md"),
    ] {
        let mut command = Command::new(harness::host::microvm());
        command.args(["nix", verb]);
        let written = std::fs::read_to_string(repository().join(file)).expect("it is there");
        assert!(
            said(command) == written,
            "`microvm nix {verb}` gives another `{file}`"
        );
    }
}

#[test]
fn outputs_are_shown() {
    let Some(own) = Nix::new() else { return };
    let shown = said(nix(
        &own,
        &["flake", "show", "--json", &own.flake()],
        own.nixpkgs(),
    ));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
    let has = |path: &str| {
        assert!(
            !shown.pointer(path).is_none_or(serde_json::Value::is_null),
            "no {path}"
        )
    };
    ["microvm", "host", "microvm-options"]
        .into_iter()
        .for_each(|module| has(&format!("/nixosModules/{module}")));
    for system in ["x86_64-linux", "aarch64-linux"] {
        ["microvm", "build-microvm", "doc"]
            .into_iter()
            .for_each(|package| has(&format!("/packages/{system}/{package}")));
        for hypervisor in [
            "qemu",
            "cloud-hypervisor",
            "firecracker",
            "crosvm",
            "kvmtool",
            "stratovirt",
            "alioth",
        ] {
            for ending in ["example", "example-with-tap"] {
                has(&format!("/packages/{system}/{hypervisor}-{ending}"));
                has(&format!(
                    "/nixosConfigurations/{system}-{hypervisor}-{ending}"
                ));
            }
        }
        ["vm", "qemu-vnc", "graphics", "waypipe-client"]
            .into_iter()
            .for_each(|app| has(&format!("/apps/{system}/{app}")));
        has(&format!("/checks/{system}/boots-from-store-disk"));
    }
    has("/packages/aarch64-darwin/microvm");
    [
        "/templates/microvm",
        "/templates/default",
        "/overlays/default",
        "/lib",
    ]
    .into_iter()
    .for_each(has);
}

#[test]
fn checks_boot_guests() {
    let Some(own) = Nix::new() else { return };
    said(nix(&own, &["flake", "check", &own.flake()], own.nixpkgs()));
}

#[test]
fn packages_of_the_flake_build() {
    let Some(own) = Nix::new() else { return };
    let flake = own.flake();
    let of = |name: &str| format!("{flake}#{name}");
    let names = [
        "doc",
        "build-microvm",
        "firecracker-example",
        "crosvm-example-with-tap",
        "alioth-example",
    ]
    .map(of);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    said(nix(
        &own,
        &[&["build", "--no-link"], &names[..]].concat(),
        own.nixpkgs(),
    ));
}

#[test]
fn programs_of_the_flake_evaluate() {
    let Some(own) = Nix::new() else { return };
    for app in ["vm", "qemu-vnc", "graphics", "waypipe-client"] {
        let app = format!("{}#apps.x86_64-linux.{app}.program", own.flake());
        let program = said(nix(&own, &["eval", "--raw", &app], own.nixpkgs()));
        assert!(program.starts_with("/nix/store/"), "{program}");
    }
}

#[test]
fn the_template_runs_unchanged() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let directory = own.path().join("mine");
    std::fs::create_dir(&directory).expect("it can be made");
    let mut init = own.nix(&["flake", "init", "-t", "microvm"]);
    init.current_dir(&directory);
    said(init);
    let mut start = own.nix(&["run", ".#my-microvm"]);
    start
        .current_dir(&directory)
        .env("MICROVM_CACHE", own.path().join("cache"));
    Running::start(start).says("my-microvm is up", BOOT);
}

#[test]
fn a_name_of_the_registry_runs() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let mut start = nix(&own, &["run", "microvm#qemu-example"], own.nixpkgs());
    start
        .current_dir(&state)
        .env("MICROVM_CACHE", own.path().join("cache"));
    Running::start(start).says("qemu-microvm is up", BOOT);
}

#[test]
fn flakes_written_for_microvm_nix_build() {
    let Some(own) = Nix::new() else { return };
    let several = format!("path:{}", own.consumer("several").display());
    let small = format!("path:{}", own.consumer("small").display());
    let host = format!("path:{}", own.consumer("host").display());
    said(nix(&own, &["build", "--no-link", &small], own.inputs()));
    for name in ["web", "db", "fire", "edge"] {
        let link = own.path().join(name).display().to_string();
        said(nix(
            &own,
            &["build", "-o", &link, &format!("{several}#{name}")],
            own.inputs(),
        ));
    }
    let has = |path: &str| assert!(own.path().join(path).exists(), "no {path}");
    ["tap-up", "tap-down", "virtiofsd-run", "microvm-balloon"]
        .into_iter()
        .for_each(|bin| has(&format!("db/bin/{bin}")));
    has("db/share/microvm/virtiofs/keys/socket");
    has("edge/bin/macvtap-up");
    has("fire/share/microvm/vmlinux");
    assert_eq!(
        said(Command::new(own.path().join("web/bin/hello"))),
        "hello from the host\n"
    );
    let mut inputs = own.inputs();
    inputs.extend(["--override-input".to_owned(), "several".to_owned(), several]);
    let system = "nixosConfigurations.machine.config.system.build.toplevel";
    said(nix(
        &own,
        &["build", "--no-link", &format!("{host}#{system}")],
        inputs,
    ));
}

#[test]
fn units_are_those_of_host_install() {
    let Some(own) = Nix::new() else { return };
    let host = format!("path:{}", own.consumer("host").display());
    let several = format!("path:{}", own.consumer("several").display());
    let link = own.path().join("units").display().to_string();
    let mut inputs = own.inputs();
    inputs.extend(["--override-input".to_owned(), "several".to_owned(), several]);
    let units = format!("{host}#nixosConfigurations.machine.config.system.build.microvmUnits");
    said(nix(&own, &["build", "-o", &link, &units], inputs));
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("it is there");
    let directory = own.path().join("units/lib/systemd/system");
    let vm = read(directory.join("microvm@.service"));
    let program = vm
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .expect("it starts one");
    let mut install = Command::new(program.split(' ').next().expect("it names one"));
    let root = own.path().join("root");
    install.args(["host", "install", "--root"]).arg(&root);
    said(install);
    let written = std::fs::read_dir(root.join("etc/systemd/system")).expect("it is there");
    let mut seen = 0;
    for unit in written.map(|unit| unit.expect("it can be read").path()) {
        let name = unit.file_name().expect("it has one");
        assert_eq!(read(unit.clone()), read(directory.join(name)), "{name:?}");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// A flake with one VM `web`, of a module.
fn one(own: &Nix, directory: &str, module: &str) -> String {
    let text = format!(
        r#"{{
  inputs.microvm.url = "microvm";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";
  outputs = {{ self, nixpkgs, microvm }}: {{
    nixosConfigurations.web = nixpkgs.lib.nixosSystem {{
      system = "x86_64-linux";
      modules = [ microvm.nixosModules.microvm {{ networking.hostName = "web"; system.stateVersion = nixpkgs.lib.trivial.release; }} ({{ config, lib, pkgs, ... }}: {{ {module} }}) ];
    }};
  }};
}}
"#
    );
    let file = own.write(&format!("{directory}/flake.nix"), &text);
    file.parent().expect("it has one").display().to_string()
}

#[test]
fn wrong_options_are_told_with_the_way_out() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let tap = |id: &str, mac: u8| {
        format!("{{ type = \"tap\"; id = \"{id}\"; mac = \"02:00:00:00:00:0{mac}\"; }}")
    };
    let share = "{ tag = \"a\"; source = \"/srv\"; mountPoint = \"/a\"; }";
    let cases: [(&str, String, &[&str]); 8] = [
        ("type", "microvm.mem = \"much\";".to_owned(), &["#web", "`microvm.mem'", "takes a number from 1"]),
        ("unknown", "microvm.memm = 512;".to_owned(), &["#web", "`microvm.memm' does not exist", "did you mean `microvm.mem`?"]),
        ("member", "microvm.volumes = [ { image = \"a\"; mountPoint = \"/a\"; size = 1; fstype = \"xfs\"; } ];".to_owned(), &["#web", "fstype", "did you mean `microvm.volumes.*.fsType`?"]),
        ("value", "microvm.shares = [ { tag = \"a\"; source = \"/srv\"; mountPoint = \"/a\"; proto = \"nfs\"; } ];".to_owned(), &["#web", "proto", "`9p` or `virtiofs`"]),
        ("twice", format!("microvm.interfaces = [ {} {} ];", tap("vm-a", 1), tap("vm-a", 2)), &["MicroVM web", "`vm-a` is there twice in `microvm.interfaces`", "one of its own"]),
        ("firecracker", format!("microvm.hypervisor = \"firecracker\"; microvm.shares = [ {share} ];"), &["MicroVM web", "`microvm.shares[0].proto = \"9p\"`", "firecracker does not have", "`microvm.hypervisor` can be qemu"]),
        ("ports", "microvm.forwardPorts = [ { host.port = 80; guest.port = 80; } ];".to_owned(), &["MicroVM web", "`microvm.forwardPorts` needs", "`microvm.interfaces`"]),
        ("long", format!("microvm.interfaces = [ {} ];", tap("much-too-long-a-name", 1)), &["MicroVM web", "much-too-long-a-name", "15 at most"]),
    ];
    for (name, module, wanted) in cases {
        let flake = one(&own, name, &module);
        let text = refused(own.microvm(&format!("check {flake}")));
        for part in wanted {
            assert!(text.contains(part), "{name}: no `{part}` in:\n{text}");
        }
        assert!(
            text.lines().count() < 20,
            "{name}: too long to read:\n{text}"
        );
        assert!(
            !text.contains("while evaluating"),
            "{name}: a trace:\n{text}"
        );
    }
}

#[test]
fn what_nix_cannot_tell_is_told_by_the_program() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(
        &own,
        "mac",
        "microvm.interfaces = [ { type = \"tap\"; id = \"vm-a\"; mac = \"nonsense\"; } ];",
    );
    said(own.microvm(&format!("check {flake}")));
    let text = refused(own.microvm(&format!("build {flake}#web --no-link")));
    for part in ["web", "interfaces[0].mac", "nonsense"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn the_whole_trace_is_shown_on_request() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "wrong", "microvm.mem = \"much\";");
    let text = refused(own.microvm(&format!("build {flake}#web --show-trace")));
    assert!(
        text.contains("while evaluating") || text.contains("while calling"),
        "{text}"
    );
}

/// 20 VMs without disks.
const MANY: &str = r#"{
  inputs.microvm.url = "microvm";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";
  outputs = { self, nixpkgs, microvm }: {
    nixosConfigurations = nixpkgs.lib.listToAttrs (map (number: nixpkgs.lib.nameValuePair "vm${toString number}" (nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [ microvm.nixosModules.microvm ({ pkgs, ... }: {
        networking.hostName = "vm${toString number}";
        system.stateVersion = nixpkgs.lib.trivial.release;
        environment.systemPackages = [ pkgs.hello ];
        microvm.mem = 256;
        microvm.shares = [ { tag = "ro-store"; source = "/nix/store"; mountPoint = "/nix/.ro-store"; } ];
      }) ];
    })) (nixpkgs.lib.range 1 20));
  };
}
"#;

/// Runs the program, and counts how often it had Nix evaluate.
fn counted(own: &Nix, line: &str) -> (String, usize) {
    let mut command = own.microvm(line);
    command.env("MICROVM_LOG", "debug");
    let output = run(&mut command);
    let text = words(&output);
    assert!(output.status.success(), "{line}\n{text}");
    let count = text
        .lines()
        .filter(|line| line.starts_with("DEBUG evaluating"))
        .count();
    (text, count)
}

#[test]
fn vms_of_one_flake_are_evaluated_once() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = own.write("many/flake.nix", MANY);
    let names: Vec<String> = (1..=20).map(|number| format!("vm{number}")).collect();
    for name in &names {
        let source = flake.parent().expect("it has one").display();
        said(own.microvm(&format!("-f {source} -c {name}")));
    }
    let (text, count) = counted(&own, "list --check");
    assert_eq!(count, 1, "{text}");
    assert!(!text.contains("update"), "{text}");
    std::fs::write(
        &flake,
        MANY.replace("256", "300")
            .replace("pkgs.hello", "pkgs.nginx"),
    )
    .expect("it can be written");
    let (text, count) = counted(&own, "list --check");
    assert_eq!(count, 1, "{text}");
    assert!(text.contains("`microvm update vm20`"), "{text}");
    let (text, count) = counted(&own, &format!("update {}", names.join(" ")));
    assert_eq!(count, 1, "{text}");
    assert_eq!(text.matches("mem: 256 -> 300").count(), 20, "{text}");
    assert!(text.contains("nginx"), "{text}");
    // The links of each VM keep its packages in Nix's store.
    let root = own
        .path()
        .join("vms/vm7/current")
        .display()
        .to_string()
        .replace('/', "%");
    assert!(
        Path::new("/nix/var/nix/gcroots/microvm")
            .join(root)
            .exists()
    );
    for name in &names {
        said(own.microvm(&format!("remove --yes {name}")));
    }
}

#[test]
fn a_vm_of_a_flake_from_creation_to_removal() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "web-flake", "microvm.vcpu = 1;");
    said(own.microvm(&format!("-f {flake} -c web")));
    assert!(said(own.microvm("-l")).contains(&flake));
    let text = refused(own.microvm(&format!("create other -f {flake}")));
    assert!(text.contains("has no VM `other`; it has `web`"), "{text}");
    one(&own, "web-flake", "microvm.vcpu = 2;");
    let text = said(own.microvm("-u web"));
    assert!(
        text.contains("web: updated") && text.contains("vcpu: 1 -> 2"),
        "{text}"
    );
    let text = said(own.microvm("-u web"));
    assert!(text.contains("nothing has changed"), "{text}");
    said(own.microvm("rollback web"));
    let link = own.path().join("result");
    said(own.microvm(&format!("build {flake} -o {}", link.display())));
    assert!(link.join("bin/microvm-run").exists());
    said(own.microvm("remove --yes web"));
}

/// A package as MicroVM.nix makes them: scripts of a shell, and nothing of ours.
const FOREIGN: &str = r##"{
  outputs = { self, nixpkgs }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
      runner = pkgs.runCommand "microvm-theirs" { } ''
        mkdir -p $out/bin $out/share/microvm
        echo '#!/bin/sh
        echo their script runs in $PWD with $*' > $out/bin/microvm-run
        chmod +x $out/bin/microvm-run
        echo qemu > $out/share/microvm/hypervisor
      '';
    in { nixosConfigurations.theirs = { config.microvm.declaredRunner = runner; }; };
}
"##;

#[test]
fn packages_of_microvm_nix_run() {
    let Some(own) = Nix::new() else { return };
    let flake = own.write("theirs/flake.nix", FOREIGN);
    let flake = flake.parent().expect("it has one").display();
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let text = said(own.microvm(&format!(
        "run {flake}#theirs --state-dir {} -- -extra",
        state.display()
    )));
    assert_eq!(
        text,
        format!("their script runs in {} with -extra\n", state.display())
    );
    said(own.microvm(&format!("create theirs -f {flake}")));
    assert!(said(own.microvm("list")).contains("theirs"));
    said(own.microvm("remove --yes theirs"));
}

/// The host's store over virtiofs, and of it what is the guest's.
const NARROW: &str = r#"
  microvm.cpu = "max";
  microvm.shares = [ { proto = "virtiofs"; tag = "ro-store"; source = "/nix/store"; mountPoint = "/nix/.ro-store"; } ];
  microvm.guest.storeClosure = config.system.build.microvmClosure;
  systemd.services.say = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig.Type = "oneshot";
    script = ''
      echo "seen are $(ls /nix/store | wc -l) of $(ls /nix/store | grep -c -e linux- -e qemu)" > /dev/console
      touch /nix/store/new 2>/dev/null || echo "the store is read-only" > /dev/console
      poweroff -f
    '';
  };
"#;

#[test]
fn a_shared_store_shows_the_closure_alone() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "narrow", NARROW);
    let list = format!("{flake}#nixosConfigurations.web.config.system.build.microvmClosure");
    let list = said(own.nix(&["eval", "--raw", &list]));
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let line = format!("run {flake}#web --state-dir {}", state.display());
    let text = words(&run(&mut own.microvm(&line)));
    let count = std::fs::read_to_string(list)
        .expect("it was built")
        .lines()
        .count();
    assert!(
        text.contains(&format!("seen are {count} of 0")),
        "not {count}:\n{text}"
    );
    assert!(text.contains("the store is read-only"), "{text}");
}

/// The database of a writable store outlives its guest.
const KEEPER: &str = r#"
  microvm.writableStoreOverlay = "/nix/.rw-store";
  microvm.cpu = "max";
  microvm.volumes = [ { image = "rw-store.img"; mountPoint = "/nix/.rw-store"; size = 128; } ];
  systemd.services.say = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig.Type = "oneshot";
    script = ''
      exec > /dev/console 2>&1
      store=${config.nix.package}/bin/nix-store
      $store --check-validity ${pkgs.busybox} && echo "the system is registered"
      if test -e /nix/.rw-store/added; then
        $store --check-validity $(cat /nix/.rw-store/added) && echo "what was added is registered still"
      else
        $store --add /etc/hostname > /nix/.rw-store/added && echo "added to the store"
      fi
      sync
      poweroff -f
    '';
  };
"#;

#[test]
fn a_writable_store_keeps_its_database() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "keeper", KEEPER);
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let boot = || {
        let output =
            run(&mut own.microvm(&format!("run {flake}#web --state-dir {}", state.display())));
        words(&output)
    };
    for wanted in ["added to the store", "what was added is registered still"] {
        let text = boot();
        assert!(text.contains(wanted), "no `{wanted}` in:\n{text}");
        assert!(text.contains("the system is registered"), "{text}");
    }
}
