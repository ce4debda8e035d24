//! Flakes as sources of the program's commands.

use std::path::Path;

use harness::nix::{Nix, refused, run, said, words};

use super::one;

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
