//! Kills a process of this very program at every step of every change, and looks at what is left.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use super::tests::{Bench, package, web};
use super::*;

const VERB: &str = "MICROVM_TEST_VERB";
const ROOT: &str = "MICROVM_TEST_ROOT";

/// The one who is killed; started by [`killed_at`] alone.
#[test]
#[ignore = "it is the process that the other tests kill"]
fn victim() {
    let (Some(root), Ok(verb)) = (std::env::var_os(ROOT), std::env::var(VERB)) else {
        panic!("the tests that kill it say what it is to do");
    };
    let fleet = Fleet::new(&Path::new(&root).join("vms"), Owner::Invoker).unwrap();
    let two = Path::new(&root).join("packages/two");
    match &*verb {
        "create" => fleet.create(&web(), &two, Some("new"), false).unwrap(),
        "update" => assert!(fleet.update(&web(), &two, Some("new"), false).unwrap()),
        "rollback" => drop(fleet.rollback(&web()).unwrap()),
        "remove" => fleet.remove(&web(), Keep::Nothing).unwrap(),
        "forget" => fleet.remove(&web(), Keep::Data).unwrap(),
        "mend" => drop(fleet.mend().unwrap()),
        other => panic!("no such change: {other}"),
    }
}

/// Whether it was killed; else it did all that it was to do.
fn killed_at(root: &Path, verb: &str, point: u32) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "fleet::kill_tests::victim"])
        .env(VERB, verb)
        .env(ROOT, root)
        .env("MICROVM_FAULT", point.to_string())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() || status.signal() == Some(libc::SIGKILL));
    !status.success()
}

/// What there is before a change: `web` with the version `one`, and `zero` before that.
fn before(verb: &str) -> Bench {
    let bench = Bench::new();
    let zero = package(bench.root.path(), "zero");
    let one = package(bench.root.path(), "one");
    package(bench.root.path(), "two");
    if verb != "create" {
        bench
            .fleet
            .create(&web(), &zero, Some("old"), false)
            .unwrap();
        bench
            .fleet
            .update(&web(), &one, Some("old"), false)
            .unwrap();
        std::fs::write(bench.fleet.dir_of(&web()).join("var.img"), "data").unwrap();
        std::fs::create_dir(bench.fleet.dir_of(&web()).join("more")).unwrap();
        std::fs::write(bench.fleet.dir_of(&web()).join("more/file"), "data").unwrap();
    }
    bench
}

/// What the directory says, in a word a version.
fn state(fleet: &Fleet) -> String {
    let data = fleet.dir_of(&web()).join("var.img").exists();
    let Some(member) = fleet.find(&web()).unwrap() else {
        return format!("none, data {data}");
    };
    assert_eq!(member.unfinished, None);
    let word = |version: &Version| {
        assert!(version.is_there());
        version
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let old = member.old.as_ref().map_or_else(|| "none".to_owned(), &word);
    let source = member.source.unwrap();
    format!("{} after {old} from {source}", word(&member.current))
}

/// Everything that is in a directory and below it but the locks.
fn leftovers(fleet: &Fleet) -> Vec<String> {
    let mut found = Vec::new();
    for dir in [
        fleet.dir_of(&web()),
        fleet.own_path("changes"),
        fleet.dir().to_owned(),
    ] {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    found.retain(|name| name.starts_with(files::BESIDE));
    found
}

#[rstest::rstest]
#[case("create", "none, data false", "two after none from new", 8)]
#[case("update", "one after zero from old", "two after one from new", 8)]
#[case("rollback", "one after zero from old", "zero after one from old", 8)]
#[case("remove", "one after zero from old", "none, data false", 10)]
#[case("forget", "one after zero from old", "none, data true", 9)]
fn a_change_that_is_killed_is_made_or_not(
    #[case] verb: &str,
    #[case] old: &str,
    #[case] new: &str,
    #[case] steps: u32,
) {
    let mut decided = false;
    let mut point = 1;
    loop {
        let bench = before(verb);
        let killed = killed_at(bench.root.path(), verb, point);
        let mended = bench.fleet.mend().unwrap();
        let state = state(&bench.fleet);
        if killed {
            // Old before the decision, new after it, and the next command says so.
            decided |= state == new;
            let expected = if decided { new } else { old };
            assert_eq!(state, expected, "killed at step {point} of {verb}");
            let told = mended.iter().any(|mended| mended.name == web());
            assert!(told || !decided || point >= steps, "step {point} of {verb}");
        } else {
            assert_eq!(state, new);
            break;
        }
        // Nothing stands in the way of doing it, or the next thing, now.
        if state == old {
            assert!(!killed_at(bench.root.path(), verb, 0));
        }
        assert_eq!(leftovers(&bench.fleet), Vec::<String>::new());
        point += 1;
    }
    assert!(decided && point > steps, "{verb} has {} steps", point - 1);
}

#[rstest::rstest]
#[case("update", "two after one from new")]
#[case("remove", "none, data false")]
fn mending_that_is_killed_is_gone_on_with(#[case] verb: &str, #[case] new: &str) {
    let mut point = 1;
    loop {
        let bench = before(verb);
        // Just after the decision.
        assert!(killed_at(bench.root.path(), verb, 3));
        let killed = killed_at(bench.root.path(), "mend", point);
        bench.fleet.mend().unwrap();
        assert_eq!(state(&bench.fleet), new, "mending killed at step {point}");
        if !killed {
            break;
        }
        point += 1;
    }
    assert!(point > 5);
}
