//! Flakes that were written for MicroVM.nix, with nothing changed but the input.

use std::path::PathBuf;
use std::process::Command;

use harness::nix::{Nix, said};

use super::nix;

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
    assert_eq!(seen, 10);
}
