//! State directories as each version of MicroVM.nix left them, and what `microvm migrate` makes of
//! them.

use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use harness::nix::{Nix, refused, said};

/// The user `microvm` of a NixOS host, who need not be one of this machine.
const MICROVM: u32 = 998;

/// A package in the store, with these files beside what runs it.
fn package(own: &Nix, name: &str, files: &[&str]) -> PathBuf {
    let files = files.iter().map(|file| (*file, "vm-web\n"));
    for (file, text) in files.chain([("bin/microvm-run", "#!/bin/sh\n")]) {
        let path = own.write(&format!("packages/{name}/{file}"), text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).expect("it can be set");
    }
    let mut add = own.command("nix-store");
    add.arg("--add").arg(own.path().join("packages").join(name));
    PathBuf::from(said(add).trim())
}

/// The directory of `web`, which belongs to that user.
fn directory(own: &Nix) -> PathBuf {
    let dir = own.path().join("vms/web");
    std::fs::create_dir_all(&dir).expect("it can be made");
    by_microvm(&dir);
    std::fs::write(dir.join("var.img"), "data").expect("it can be written");
    by_microvm(&dir.join("var.img"));
    dir
}

fn by_microvm(path: &Path) {
    lchown(path, Some(MICROVM), None).expect("root may");
}

fn link(target: &Path, link: &Path) {
    symlink(target, link).expect("it can be made");
}

fn lines(own: &Nix, line: &str) -> Vec<String> {
    let text = said(own.microvm(line));
    let text = text.replace(&own.path().display().to_string(), "");
    text.lines().map(str::to_owned).collect()
}

/// Nothing is left to do, and what the guest wrote is as it was.
fn is_migrated(own: &Nix, dir: &Path) {
    assert_eq!(lines(own, "migrate"), ["/vms: nothing to migrate"]);
    let data = std::fs::read_to_string(dir.join("var.img"));
    assert_eq!(data.expect("it is there"), "data");
    assert!(said(own.microvm("list")).contains("web"));
    said(own.microvm("remove --yes web"));
}

#[test]
fn from_0_1_0() {
    let Some(own) = Nix::new() else { return };
    let dir = directory(&own);
    for file in ["microvm-run", "microvm-shutdown", "tap-interfaces"] {
        own.write(&format!("vms/web/{file}"), "");
    }
    own.write("vms/web/virtiofs/store/source", "/nix/store\n");
    let kept = "the VM has no package; `microvm create NAME -f SOURCE` installs one";
    let copies = [
        "microvm-run",
        "microvm-shutdown",
        "tap-interfaces",
        "virtiofs",
    ];
    let all = |verb: &str, why: &str| copies.map(|copy| format!("{verb} /vms/web/{copy}{why}"));
    assert_eq!(lines(&own, "migrate"), all("keep", &format!(": {kept}")));
    let files = [
        "bin/microvm-shutdown",
        "bin/tap-up",
        "share/microvm/tap-interfaces",
        "bin/virtiofsd-run",
        "share/microvm/virtiofs/store/source",
    ];
    let package = package(&own, "new", &files);
    said(own.microvm(&format!("create web -f {}", package.display())));
    assert_eq!(lines(&own, "migrate"), all("remove", ""));
    assert_eq!(lines(&own, "migrate --yes"), all("removed", ""));
    is_migrated(&own, &dir);
}

/// By hand, with the host's own setup of interfaces and shares; a service of the user `microvm`
/// made `booted`.
#[test]
fn from_0_2_to_0_5() {
    let Some(own) = Nix::new() else { return };
    let dir = directory(&own);
    let files = [
        "share/microvm/tap-interfaces",
        "share/microvm/virtiofs/store/source",
    ];
    let package = package(&own, "of-0.5.0", &files);
    link(&package, &dir.join("current"));
    std::fs::write(dir.join("flake"), "git+file:///etc/nixos\n").expect("it can be written");
    link(&package, &dir.join("booted"));
    by_microvm(&dir.join("booted"));
    let refusal = refused(own.microvm("update web"));
    assert!(
        refusal.contains("booted") && refusal.contains("`microvm migrate`"),
        "{refusal}"
    );
    let update = "update web: its package is of MicroVM.nix 0.5.0 or before, and has no `bin/tap-up`, `bin/virtiofsd-run`; `microvm update` builds one that has";
    let booted = format!(
        "/vms/web/booted: it says `{}`, by the user {MICROVM}",
        package.display()
    );
    assert_eq!(
        lines(&own, "migrate"),
        [update.to_owned(), format!("take over {booted}")]
    );
    assert_eq!(
        lines(&own, "migrate --yes"),
        [format!("took over {booted}"), update.to_owned()]
    );
    let newer = self::package(
        &own,
        "newer",
        &["share/microvm/tap-interfaces", "bin/tap-up"],
    );
    said(own.microvm(&format!("update web -f {}", newer.display())));
    is_migrated(&own, &dir);
}

/// Of the host's configuration: its service gave the link to the user `microvm`. The new host's own
/// service takes it over by itself.
#[test]
fn from_0_4_with_declared_vms() {
    let Some(own) = Nix::new() else { return };
    let dir = directory(&own);
    let [old, new] = ["old", "new"].map(|name| package(&own, name, &[name]));
    link(&old, &dir.join("current"));
    by_microvm(&dir.join("current"));
    link(&old, &dir.join("toplevel"));
    assert!(said(own.microvm("list --check")).contains("broken"));
    said(own.microvm(&format!("nix install web --package {}", new.display())));
    assert_eq!(
        std::fs::read_link(dir.join("current")).expect("it is one"),
        new
    );
    assert_eq!(std::fs::read_link(dir.join("old")).expect("it is one"), old);
    assert!(dir.join("toplevel").is_symlink());
    is_migrated(&own, &dir);
}

/// A VM of a flake, by the last version: link and source are that user's.
#[test]
fn from_after_0_5_0() {
    let Some(own) = Nix::new() else { return };
    let dir = directory(&own);
    let package = package(
        &own,
        "last",
        &["share/microvm/tap-interfaces", "bin/tap-up"],
    );
    link(&package, &dir.join("current"));
    std::fs::write(dir.join("flake"), "git+https://example.org/vms\n").expect("it can be written");
    by_microvm(&dir.join("flake"));
    by_microvm(&dir.join("current"));
    // Somewhere that a hypervisor could have written: nobody takes that over.
    link(Path::new("/tmp"), &dir.join("old"));
    by_microvm(&dir.join("old"));
    let said_of = lines(&own, "migrate");
    let paths: Vec<&str> = said_of
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        paths,
        ["take over /vms/web/current", "take over /vms/web/flake"]
    );
    let refusal = refused(own.microvm("migrate --yes"));
    assert!(refusal.contains("/old"), "{refusal}");
    std::fs::remove_file(dir.join("old")).expect("it is there");
    is_migrated(&own, &dir);
}
