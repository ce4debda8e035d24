use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::lock::RunLock;

/// A state directory, and packages to install.
pub struct Bench {
    pub root: TempDir,
    pub fleet: Fleet,
}

impl Bench {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let fleet = Fleet::new(&root.path().join("vms"), Owner::Invoker).unwrap();
        Self { root, fleet }
    }

    pub fn package(&self, name: &str) -> PathBuf {
        package(self.root.path(), name)
    }

    fn web(&self) -> Member {
        self.fleet.member(&web()).unwrap()
    }
}

pub fn package(root: &Path, name: &str) -> PathBuf {
    let package = root.canonicalize().unwrap().join("packages").join(name);
    fs::create_dir_all(package.join("bin")).unwrap();
    let run = package.join("bin/microvm-run");
    fs::write(&run, "").unwrap();
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    package
}

pub fn web() -> VmName {
    name("web").unwrap()
}

#[test]
fn a_vm_is_created_updated_rolled_back_and_removed() {
    let bench = Bench::new();
    let [one, two] = ["one", "two"].map(|name| bench.package(name));
    let fleet = &bench.fleet;
    assert!(fleet.names().unwrap().is_empty());
    fleet.create(&web(), &one, Some("/srv/vms"), false).unwrap();
    assert_eq!(fleet.names().unwrap(), [web()]);
    assert_eq!(bench.web().current, Version::There(one.clone()));
    assert_eq!(bench.web().source.as_deref(), Some("/srv/vms"));
    assert!(!fleet.update(&web(), &one, Some("/srv/vms"), false).unwrap());
    assert_eq!(bench.web().old, None);
    assert!(fleet.update(&web(), &two, Some("/srv/vms"), false).unwrap());
    assert_eq!(bench.web().current, Version::There(two.clone()));
    assert_eq!(bench.web().old, Some(Version::There(one.clone())));
    assert_eq!(fleet.rollback(&web()).unwrap(), one);
    assert_eq!(bench.web().old, Some(Version::There(two.clone())));
    assert_eq!(fleet.rollback(&web()).unwrap(), two);
    fs::write(fleet.dir_of(&web()).join("var.img"), "data").unwrap();
    assert_eq!(fleet.contents(&web()).unwrap().data, ["var.img"]);
    fleet.remove(&web(), Keep::Data).unwrap();
    assert!(fleet.names().unwrap().is_empty());
    assert!(matches!(
        fleet.member(&web()),
        Err(Error::NotInstalled { .. })
    ));
    let data = fleet.dir_of(&web()).join("var.img");
    assert_eq!(fs::read_to_string(&data).unwrap(), "data");
    fleet.create(&web(), &one, Some("/srv/vms"), false).unwrap();
    assert_eq!(fs::read_to_string(&data).unwrap(), "data");
    assert_eq!(bench.web().old, None);
    fleet.remove(&web(), Keep::Nothing).unwrap();
    assert!(!fleet.dir_of(&web()).exists());
    assert!(
        fs::read_dir(fleet.own_path("locks"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    let one = bench.package("one");
    let fleet = &bench.fleet;
    let error = fleet.create(&web(), bench.root.path(), Some("x"), false);
    assert!(matches!(error, Err(Error::NotAPackage { .. })));
    let error = fleet.create(&web(), &one, Some("a\nb"), false);
    assert!(matches!(error, Err(Error::SourceText { .. })));
    assert!(!fleet.dir_of(&web()).exists());
    assert!(matches!(
        fleet.update(&web(), &one, Some("x"), false),
        Err(Error::NotInstalled { .. })
    ));
    fleet.create(&web(), &one, Some("x"), false).unwrap();
    let before = bench.web();
    let error = fleet.create(&web(), &one, Some("y"), false);
    assert!(matches!(error, Err(Error::Installed { .. })));
    let error = fleet.rollback(&web());
    assert!(matches!(error, Err(Error::NothingBefore { .. })));
    let lock = RunLock::take(&fleet.dir_of(&web()), "web").unwrap();
    let error = fleet.remove(&web(), Keep::Data).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Busy);
    drop(lock);
    assert_eq!(bench.web(), before);
}

#[test]
fn current_that_leads_nowhere_is_seen() {
    let bench = Bench::new();
    let [one, two] = ["one", "two"].map(|name| bench.package(name));
    bench.fleet.create(&web(), &one, Some("x"), false).unwrap();
    bench.fleet.update(&web(), &two, Some("x"), false).unwrap();
    fs::remove_dir_all(&two).unwrap();
    assert_eq!(bench.web().current, Version::Gone(two));
    assert!(matches!(
        bench.fleet.set_booted(&web()),
        Err(Error::NotAPackage { .. })
    ));
    bench.fleet.rollback(&web()).unwrap();
    assert!(matches!(
        bench.fleet.rollback(&web()),
        Err(Error::BeforeIsGone { .. })
    ));
    assert_eq!(bench.web().current, Version::There(one));
}

#[test]
fn what_runs_and_what_would_run_are_told_apart() {
    let bench = Bench::new();
    let [one, two] = ["one", "two"].map(|name| bench.package(name));
    bench.fleet.create(&web(), &one, Some("x"), true).unwrap();
    assert!(bench.web().managed);
    assert_eq!(bench.fleet.set_booted(&web()).unwrap(), one);
    bench.fleet.update(&web(), &two, Some("x"), true).unwrap();
    assert!(!bench.web().is_behind());
    let lock = RunLock::take(&bench.fleet.dir_of(&web()), "web").unwrap();
    assert!(bench.web().runs && bench.web().is_behind());
    assert_eq!(bench.web().in_use().path(), one);
    drop(lock);
    bench.fleet.clear_booted(&web()).unwrap();
    assert_eq!(bench.web().booted, None);
    bench.fleet.set_autostart(&web(), true).unwrap();
    assert!(bench.web().autostart);
    bench.fleet.set_autostart(&web(), false).unwrap();
    assert!(!bench.web().autostart);
}

#[rstest]
#[case::parent("../x")]
#[case::here(".")]
#[case::space("a b")]
#[case::line_break("a\nb")]
#[case::quote("a'b")]
#[case::option("-rf")]
#[case::empty("")]
#[case::absolute("/etc")]
#[case::long(&"a".repeat(300))]
#[case::own(".microvm")]
#[case::shell("$(id)")]
#[case::not_ascii("wéb")]
fn hostile_names_are_no_names(#[case] text: &str) {
    let error = name(text).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Usage);
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn links_out_of_the_state_directory_are_not_followed() {
    let bench = Bench::new();
    let one = bench.package("one");
    let outside = bench.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("data"), "precious").unwrap();
    fs::create_dir(bench.fleet.dir()).unwrap();
    symlink(&outside, bench.fleet.dir().join("web")).unwrap();
    assert!(matches!(
        bench.fleet.create(&web(), &one, Some("x"), false),
        Err(Error::Link { .. })
    ));
    assert!(matches!(
        bench.fleet.remove(&web(), Keep::Nothing),
        Err(Error::Link { .. })
    ));
    assert!(bench.fleet.names().unwrap().is_empty());
    fs::remove_file(bench.fleet.dir().join("web")).unwrap();
    // The record of the creation that was refused must not come back.
    assert_eq!(bench.fleet.mend().unwrap(), []);
    bench.fleet.create(&web(), &one, Some("x"), false).unwrap();
    let dir = bench.fleet.dir_of(&web());
    symlink(&outside, dir.join("shares")).unwrap();
    symlink(outside.join("data"), dir.join("var.img")).unwrap();
    fs::remove_file(dir.join("flake")).unwrap();
    symlink(outside.join("data"), dir.join("flake")).unwrap();
    assert!(matches!(
        bench.fleet.member(&web()),
        Err(Error::Foreign { .. })
    ));
    fs::remove_file(dir.join("flake")).unwrap();
    bench.fleet.remove(&web(), Keep::Nothing).unwrap();
    assert_eq!(
        fs::read_to_string(outside.join("data")).unwrap(),
        "precious"
    );
}

#[test]
fn a_directory_in_the_way_stays() {
    let bench = Bench::new();
    let one = bench.package("one");
    let dir = bench.fleet.dir_of(&web());
    fs::create_dir_all(dir.join("current")).unwrap();
    fs::write(dir.join("current/file"), "").unwrap();
    assert!(bench.fleet.create(&web(), &one, Some("x"), false).is_err());
    assert!(dir.join("current/file").exists());
    assert_eq!(bench.fleet.mend().unwrap(), []);
}

#[test]
fn one_changes_at_a_time() {
    let bench = Bench::new();
    let one = bench.package("one");
    bench.fleet.create(&web(), &one, Some("x"), false).unwrap();
    let guard = Guard::take(&bench.fleet, &web()).unwrap();
    assert!(Guard::try_take(&bench.fleet, &web()).unwrap().is_none());
    // A change that is being made is not one that was cut off.
    assert_eq!(bench.fleet.mend().unwrap(), []);
    drop(guard);
    assert!(Guard::try_take(&bench.fleet, &web()).unwrap().is_some());
}
