use super::*;

fn made() -> Vec<Unit> {
    units(
        Path::new("/var/lib/microvms"),
        Path::new("/usr/bin/microvm"),
        Start::default(),
    )
    .unwrap()
}

#[test]
fn what_they_say() {
    let texts: Vec<String> = made()
        .iter()
        .map(|unit| format!("==> {}\n{}", unit.path, unit.text))
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[rstest::rstest]
#[case("/srv/a b")]
#[case("/srv/%i")]
#[case("relative")]
#[case("/srv/a\nExecStart=/bin/sh")]
#[case("/srv/$HOME")]
fn paths_that_units_would_misread_are_refused(#[case] path: &str) {
    for (state, program) in [(path, "/usr/bin/microvm"), ("/var/lib/microvms", path)] {
        let made = units(Path::new(state), Path::new(program), Start::default());
        assert!(matches!(made, Err(Error::Path { .. })));
    }
}

#[test]
fn they_are_installed_once_and_removed_without_a_trace() {
    let root = tempfile::tempdir().unwrap();
    let changed = install(root.path(), &made()).unwrap();
    assert_eq!(changed.len(), made().len());
    assert!(install(root.path(), &made()).unwrap().is_empty());
    let state = installed_for(root.path()).unwrap();
    assert_eq!(state, Path::new("/var/lib/microvms"));
    assert_eq!(uninstall(root.path()).unwrap(), changed);
    assert!(uninstall(root.path()).unwrap().is_empty());
    let left = fs::read_dir(root.path().join("etc/systemd/system")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn files_of_others_stay_and_nothing_is_half_installed() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("etc/systemd/system/microvms.target");
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::write(&target, "[Unit]\n").unwrap();
    let error = install(root.path(), &made()).unwrap_err();
    assert!(matches!(error, Error::Foreign { path } if path == target));
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    assert!(uninstall(root.path()).unwrap().is_empty());
    assert_eq!(fs::read_to_string(&target).unwrap(), "[Unit]\n");
}
