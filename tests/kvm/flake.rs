//! A VM of a flake in the KVM host, with Debian's Nix: `microvm -f FLAKE -c NAME`, `-u` and `-l`, as
//! a service of systemd.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::nested::PATIENCE;
use harness::nix::{Nix, said};
use harness::{KvmHost, Outcome, check, host};

use crate::suite::{Suite, flake_directory};

/// `@microvm@` and `@nixpkgs@` stand for the flakes.
const FLAKE: &str = r#"{
  inputs.nixpkgs.url = "path:@nixpkgs@";
  inputs.microvm.url = "path:@microvm@";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";
  outputs = { self, nixpkgs, microvm }: {
    nixosConfigurations.web = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [ microvm.nixosModules.microvm {
        networking.hostName = "web";
        system.stateVersion = nixpkgs.lib.trivial.release;
        microvm.mem = 256;
        microvm.registerClosure = false;
      } ];
    };
  };
}
"#;

pub fn skip_reason() -> Option<String> {
    [
        "nix",
        "qemu-system-x86_64",
        "mmdebstrap",
        "mkfs.erofs",
        "ssh",
    ]
    .into_iter()
    .find_map(host::lacks)
}

pub fn everything(suite: &Suite) -> Outcome {
    let flake = build_here()?;
    let host = suite.host()?;
    let flake = flake.display();
    configure(host)?;
    // Where a unit's sandbox sees it, wherever it was built.
    let (microvm, built) = ("/usr/local/bin/microvm", suite.microvm());
    host.run(&format!("install -m 755 {built} {microvm}"))?;
    host.run(&format!("{microvm} host install >&2"))?;
    host.run(&format!("{microvm} -f {flake} -c web"))?;
    let listed = host.run(&format!("{microvm} -l"))?;
    check!(
        listed.contains(&flake.to_string()),
        "the list has no source: {listed}"
    );
    host.run(&format!(
        "{microvm} start web || {{ {microvm} logs web >&2; false; }}"
    ))?;
    wait_for(host, "web is up")?;
    let listed = host.run(&format!("{microvm} -l"))?;
    check!(listed.contains("running"), "it does not run: {listed}");
    host.run(&format!(
        "cp -r {flake} /root/mine; sed -i s/256/300/ /root/mine/flake.nix"
    ))?;
    let said = host.run(&format!("{microvm} update web -f /root/mine"))?;
    check!(said.contains("mem: 256 -> 300"), "the update says: {said}");
    let said = host.run(&format!("{microvm} -u web"))?;
    check!(
        said.contains("nothing has changed"),
        "the second update says: {said}"
    );
    let listed = host.run(&format!("{microvm} -l 2>&1"))?;
    check!(
        listed.contains("runs another version"),
        "the list says: {listed}"
    );
    host.run(&format!("{microvm} restart web"))?;
    let listed = host.run(&format!("{microvm} -l 2>&1"))?;
    check!(
        listed.contains("running") && !listed.contains("another version"),
        "after the restart the list says: {listed}"
    );
    let said = host.run(&format!("{microvm} rollback -R web"))?;
    check!(
        said.contains("mem: 300 -> 256"),
        "the rollback says: {said}"
    );
    let runs = host.run("grep -zh -A1 -x -e -m /proc/[0-9]*/cmdline | tr '\\0' ' '")?;
    check!(runs.contains("size=256M"), "what runs has `{runs}`");
    host.run(&format!("{microvm} stop web; {microvm} remove --yes web"))?;
    let listed = host.run(&format!("{microvm} -l 2>&1"))?;
    check!(
        !listed.contains("web"),
        "after its removal the list says: {listed}"
    );
    Ok(())
}

/// Builds what the KVM host would take long for, and leaves the closure beside the flake.
fn build_here() -> Outcome<std::path::PathBuf> {
    let directory = flake_directory();
    for entry in std::fs::read_dir(&directory).into_iter().flatten() {
        let path = entry?.path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(path)?,
            false => std::fs::remove_file(path)?,
        }
    }
    std::fs::create_dir_all(&directory)?;
    let own = Nix::at(&directory);
    let text = FLAKE
        .replace("@nixpkgs@", &own.nixpkgs_path().display().to_string())
        .replace(
            "@microvm@",
            &directory.join("microvm").display().to_string(),
        );
    let flake = own.write("mine/flake.nix", &text);
    let flake = flake.parent().unwrap_or(Path::new("/")).to_owned();
    let runner = "#nixosConfigurations.web.config.microvm.declaredRunner";
    let runner = format!("path:{}{runner}", flake.display());
    said(own.nix(&["build", "--no-link", &runner]));
    let derivation = said(own.nix(&["eval", "--raw", &format!("{runner}.drvPath")]));
    let mut query = own.command("nix-store");
    query.args(["--query", "--requisites", "--include-outputs", &derivation]);
    let paths = said(query);
    let mut export = own.command("nix-store");
    export.arg("--export").args(paths.lines());
    export.stdout(std::fs::File::create(directory.join("closure"))?);
    said(export);
    Ok(flake)
}

/// Nix without a network, and with what was built here.
fn configure(host: &KvmHost) -> Outcome {
    let directory = flake_directory();
    let directory = directory.display();
    let lines = [
        "experimental-features = nix-command flakes",
        "build-users-group =",
        "substituters =",
        "sandbox = false",
        &format!("flake-registry = {directory}/registry.json"),
    ];
    let lines: Vec<String> = lines.iter().map(|line| format!("'{line}'")).collect();
    host.run(&format!(
        "mkdir -p /etc/nix; printf '%s\\n' {} > /etc/nix/nix.conf",
        lines.join(" ")
    ))?;
    host.run(&format!("nix-store --import < {directory}/closure >&2"))?;
    Ok(())
}

fn wait_for(host: &KvmHost, text: &str) -> Outcome {
    let start = Instant::now();
    loop {
        let log = host.run("journalctl --no-pager -u microvm@web")?;
        if log.contains(text) {
            return Ok(());
        }
        check!(
            start.elapsed() < PATIENCE,
            "it did not say `{text}`:\n{log}"
        );
        std::thread::sleep(Duration::from_secs(2));
    }
}
