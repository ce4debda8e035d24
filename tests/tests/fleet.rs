//! The VMs of a host, by the program: whole outputs, and what is left on disk. Nothing is booted:
//! where a VM has to run, its package is one of another program, with scripts.

mod hosted;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hosted::{Host, script};

/// Two versions of a VM that is built of files which are there.
fn two_versions(host: &Host) {
    host.define("mem = 256\n");
    host.write(
        "second/microvm.toml",
        &hosted::definition("mem = 300\nvcpu = 2\n"),
    );
}

#[test]
fn a_vm_from_its_creation_to_its_removal() {
    let host = Host::new();
    two_versions(&host);
    let said = host.script(&[
        "list",
        "create web",
        "create web",
        "list",
        "update web",
        "rollback web",
        "update web -f ./second",
        "list --check",
        "rollback web",
        "rollback web",
        "autostart web on",
        "list",
        "autostart web off",
        "status web",
        "console web",
        "shutdown web",
        "logs web",
        "remove web --dry-run",
        "remove web",
        "list",
        "update web",
    ]);
    insta::assert_snapshot!(said);
    assert!(!host.state("web").exists());
}

#[test]
fn sources_are_compared_without_building() {
    let host = Host::new();
    host.define("mem = 256\n");
    host.run("create web");
    host.define("mem = 300\nvolumes = [{ image = \"a.img\", mountPoint = \"/a\", size = 8 }]\n");
    let packages = host.packages();
    insta::assert_snapshot!(host.script(&["list", "list --check", "list --check --json"]));
    assert_eq!(host.packages(), packages, "looking built something");
    host.write("microvm.toml", "[vm.other]\n");
    insta::assert_snapshot!(
        "source_without_it",
        host.script(&["list --check", "update web"])
    );
}

#[test]
fn short_forms_do_the_same() {
    let host = Host::new();
    two_versions(&host);
    insta::assert_snapshot!(host.script(&[
        "-c web -f .",
        "-l",
        "-u web",
        "-f ./second -u web",
        "-Ru web db",
        "-r absent",
        "-c",
    ]));
}

#[test]
fn volumes_are_lost_only_when_that_was_said() {
    let host = Host::new();
    host.define("");
    host.run("create web");
    host.write("vms/web/var.img", "data");
    host.write("vms/web/a directory/file", "data");
    insta::assert_snapshot!(host.script(&[
        "remove web",
        "remove web --dry-run",
        "remove web --keep-volumes",
        "list",
        "create web",
        "remove web --yes",
    ]));
    assert!(!host.state("web").exists());
}

#[test]
fn what_is_hostile_is_refused_and_nothing_is_touched() {
    let host = Host::new();
    host.define("");
    host.write("outside/precious", "data");
    host.write("vms/kept/var.img", "data");
    std::os::unix::fs::symlink("../outside", host.state("linked")).expect("it can be made");
    let before = host.tree();
    let long = "a".repeat(300);
    let lines: Vec<Vec<&str>> = vec![
        vec!["create", "../x"],
        vec!["create", "a b"],
        vec!["create", "a\nb"],
        vec!["create", "it's"],
        vec!["create", "--", "-rf"],
        vec!["create", &long],
        vec!["create", ".microvm"],
        vec!["create", "web", "-f", "a\nb"],
        vec!["create", "web", "-f", "git+ext::sh -c x"],
        vec!["create", "web", "-f", "git+https://h/r?ref=--upload-pack=x"],
        vec!["create", "web", "-f", ".#db"],
        vec!["create", "web", "-f", "./outside"],
        vec!["create", "linked"],
        vec!["remove", "linked", "--yes"],
        vec!["remove", "kept", "--yes"],
        vec!["remove", "..", "--yes"],
        vec!["update", "web", "../x"],
        vec!["start", "/etc"],
        vec!["stop", "$(id)"],
        vec!["logs", "../../etc/passwd"],
        vec!["rollback", ""],
    ];
    let said: Vec<String> = lines.iter().map(|words| host.run_words(words)).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(host.tree(), before);
}

/// Has what `web` runs vanish from the store.
fn lose_package(host: &Host) {
    let package = host
        .state("web/current")
        .canonicalize()
        .expect("it is there");
    std::fs::rename(&package, host.path().join("away")).expect("it can be moved");
}

#[test]
fn a_package_that_is_gone_is_seen_and_mended() {
    let host = Host::new();
    host.define("");
    host.run("create web");
    lose_package(&host);
    insta::assert_snapshot!(host.script(&["list", "start web", "update web", "list"]));
}

#[test]
fn what_a_vm_uses_is_never_collected() {
    let host = Host::new();
    two_versions(&host);
    host.run("create web");
    host.run("gc");
    host.run("update web -f ./second");
    let freed = host.run("gc");
    assert!(freed.contains("0 paths"), "{freed}");
    for link in ["current", "old"] {
        assert!(
            host.state("web")
                .join(link)
                .join("bin/microvm-run")
                .exists()
        );
    }
    host.run("remove web");
    host.run("gc");
    assert_eq!(host.packages(), Vec::<String>::new());
}

#[test]
fn declared_vms_are_converged_and_twice_is_once() {
    let host = Host::new();
    host.define("mem = 256\n");
    let declare = |vms: &str| {
        host.write(
            "host.toml",
            &format!("stateDir = \"{}\"\n{vms}", host.dir()),
        )
    };
    declare(
        "[vms.web]\nflake = \".\"\nautostart = false\n\n[vms.db]\nautostart = false\n[vms.db.config]\nmemm = 1\n",
    );
    let mut said = host.run("apply --config host.toml");
    let inline = hosted::inline("mem = 256");
    declare(&format!(
        "[vms.web]\nflake = \".\"\nautostart = false\n\n[vms.db]\nautostart = false\n[vms.db.config]\n{inline}"
    ));
    said += &host.script(&[
        "plan --config host.toml",
        "apply --config host.toml",
        "apply --config host.toml",
        "update web",
        "list",
    ]);
    let after = host.tree();
    host.run("apply --config host.toml");
    assert_eq!(host.tree(), after, "the second time changed something");
    host.define("mem = 300\n");
    host.write("vms/web/var.img", "data");
    said += &host.script(&[
        "plan --config host.toml",
        "plan --config host.toml --json",
        "apply --config host.toml",
    ]);
    declare(&format!("[vms.db]\n[vms.db.config]\n{inline}"));
    said += &host.script(&["plan --config host.toml"]);
    declare("");
    said += &host.script(&[
        "apply --config host.toml",
        "apply --config host.toml",
        "list",
    ]);
    insta::assert_snapshot!(said);
    let data = std::fs::read_to_string(host.state("web/var.img"));
    assert_eq!(data.expect("it is kept"), "data");
}

#[test]
fn units_are_installed_and_removed() {
    let host = Host::new();
    insta::assert_snapshot!(host.script(&[
        "host install --root ./root --state-dir /var/lib/microvms",
        "host install --root ./root --state-dir /var/lib/microvms",
        "host install --root ./root --state-dir /a%b",
        "host uninstall --root ./root",
        "host uninstall --root ./root",
    ]));
}

#[test]
fn a_vm_of_another_program_is_started_restarted_and_stopped() {
    let host = Host::new();
    host.foreign("web", script::SLEEPS);
    let said = host.script(&[
        "create web -f ./foreign/web",
        "start web",
        "start web",
        "list",
        "remove web --yes",
        "restart web",
        "stop web",
        "stop web",
        "logs web",
        "list",
    ]);
    insta::assert_snapshot!(said);
    let order = host.read("order");
    let once = "tap-up\nshares\nrun\nshutdown\nshares end\ntap-down\n";
    assert_eq!(order, once.repeat(2));
    assert!(!host.state("web/booted").exists());
}

#[test]
fn a_keeper_that_is_killed_leaves_its_vm() {
    let host = Host::new();
    host.foreign("web", script::SLEEPS);
    host.run("create web -f ./foreign/web");
    host.run("start web");
    let hypervisor = host.process("web:hypervisor");
    host.kill(host.process("web:keeper"));
    assert!(host.run("list").contains("running"));
    assert_eq!(host.process("web:hypervisor"), hypervisor);
    // Another keeper takes its place, and the VM is the one that ran.
    insta::assert_snapshot!(host.script(&["start web", "start web"]));
    assert_eq!(host.process("web:hypervisor"), hypervisor);
    host.kill(host.process("web:keeper"));
    let stopped = host.run("stop web");
    assert!(stopped.contains("`web` has shut itself down"), "{stopped}");
    assert!(host.run("list").contains("stopped"));
    let order = host.read("order");
    assert_eq!(
        order,
        "tap-up\nshares\nrun\nshutdown\nshares end\ntap-down\n"
    );
}

#[test]
fn a_guest_that_does_not_stop_is_ended_and_that_is_said() {
    let host = Host::new();
    host.foreign("web", script::STUBBORN);
    host.run("create web -f ./foreign/web");
    host.run("start web");
    insta::assert_snapshot!(host.script(&["stop web", "list"]));
}

#[test]
fn one_that_fails_is_restarted_and_one_that_cannot_start_says_why() {
    let host = Host::new();
    host.foreign("bad", script::FAILS);
    host.foreign("once", script::FAILS_ONCE);
    let said = host.script(&[
        "create bad -f ./foreign/bad",
        "start bad",
        "list",
        "create once -f ./foreign/once",
        "start once",
    ]);
    insta::assert_snapshot!(said);
    let first = host.process("once:hypervisor");
    host.write("vms/once/fail", "");
    host.eventually("it was started again", || {
        host.find_process("once:hypervisor")
            .is_some_and(|now| now != first)
    });
    let stopped = host.run("stop once");
    assert!(stopped.contains("exit 0"), "{stopped}");
}

#[test]
fn many_start_and_stop_at_once_and_one_failure_is_the_programs() {
    let host = Host::new();
    let names: Vec<String> = (0..8).map(|number| format!("vm{number}")).collect();
    for name in &names {
        host.foreign(name, script::SLEEPS);
        host.run(&format!("create {name} -f ./foreign/{name}"));
    }
    let all = names.join(" ");
    let started = host.run(&format!("start {all} absent"));
    assert!(started.contains("`absent` is not installed"), "{started}");
    assert!(started.ends_with("exit 4\n"), "{started}");
    assert_eq!(host.run("list").matches("running").count(), 8);
    let stopped = host.run(&format!("stop {all}"));
    assert_eq!(
        stopped.matches("has shut itself down").count(),
        8,
        "{stopped}"
    );
}

#[test]
fn a_thousand_vms_are_listed() {
    let host = Host::new();
    host.foreign("web", script::SLEEPS);
    host.run("create web -f ./foreign/web");
    for number in 0..1000 {
        host.copy_vm("web", &format!("vm{number}"));
    }
    let listed = host.run("list");
    assert_eq!(listed.matches("stopped").count(), 1001);
}

#[test]
fn the_layout_of_old_is_migrated_when_that_is_said() {
    let host = Host::new();
    host.define("");
    host.foreign("web", script::SLEEPS);
    for file in [
        "microvm-run",
        "microvm-shutdown",
        "tap-interfaces",
        "virtiofs/a/source",
        "var.img",
    ] {
        host.write(&format!("vms/web/{file}"), "");
    }
    insta::assert_snapshot!(host.script(&[
        "migrate",
        "create web -f ./foreign/web",
        "migrate",
        "migrate --yes",
        "migrate",
    ]));
    assert!(host.state("web/var.img").exists());
}

/// `apply`, killed at every step, and applied again.
#[test]
fn an_apply_that_is_killed_is_gone_on_with() {
    if !host_has_faults() {
        println!("skipped: an_apply_that_is_killed_is_gone_on_with: a release build has no faults");
        return;
    }
    let states: Vec<BTreeMap<_, _>> = (0..80).map_while(killed_apply).collect();
    assert!(states.len() > 20, "killed at only {} steps", states.len());
    for pair in states.windows(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

/// What there is after an `apply` that was killed at a step, and another; `None` where it had no
/// such step.
fn killed_apply(step: u32) -> Option<BTreeMap<PathBuf, String>> {
    let host = Host::new();
    host.define("mem = 256\n");
    let vm = |name: &str| format!("[vms.{name}]\nautostart = false\n[vms.{name}.config]\n");
    let (web, db) = (hosted::inline("mem = 256\n"), hosted::inline("mem = 64\n"));
    host.write("host.toml", &format!("{}{web}{}{db}", vm("web"), vm("old")));
    host.run("apply --config host.toml");
    host.write("vms/old/var.img", "data");
    let web = hosted::inline("mem = 300\n");
    host.write("host.toml", &format!("{}{web}{}{db}", vm("web"), vm("new")));
    let killed = host.run_with(
        "apply --config host.toml",
        &[("MICROVM_FAULT", &(step + 1).to_string())],
    );
    let again = host.run("apply --config host.toml");
    assert!(again.ends_with("exit 0\n"), "step {step}: {killed}{again}");
    let nothing = host.run("apply --config host.toml");
    assert!(
        nothing.contains("nothing to do"),
        "step {step}: {again}{nothing}"
    );
    assert_eq!(host.read("vms/old/var.img"), "data");
    killed.contains("exit signal").then(|| host.tree_of_names())
}

/// Only builds with debug assertions can be killed at a step.
fn host_has_faults() -> bool {
    let host = Host::new();
    host.define("");
    host.run_with("create web", &[("MICROVM_FAULT", "1")])
        .contains("exit signal")
}

/// Only of its own VM: what is wrong with the host that tests run on is not theirs to mend.
#[test]
fn doctor_says_what_is_wrong_and_mends_it() {
    let host = Host::new();
    host.define("");
    host.run("create web");
    lose_package(&host);
    std::os::unix::fs::symlink("nowhere", host.state("web/booted")).expect("it can be made");
    let said = host.run_words(&["doctor", "vm web"]);
    assert!(
        said.contains("which is gone\n       microvm update"),
        "{said}"
    );
    assert!(said.contains("rm -- [DIR]/vms/web/booted"), "{said}");
    assert!(said.ends_with("exit 5\n"), "{said}");
    let json = host.run_words(&["doctor", "vm web", "--json"]);
    assert_eq!(json.matches("\"state\": \"wrong\"").count(), 2, "{json}");
    let said = host.run_words(&["doctor", "vm web", "--fix"]);
    assert!(said.ends_with("exit 0\n"), "{said}");
    assert!(!host.state("web/booted").exists());
    assert!(host.run("list").contains("stopped"));
    let all = host.run("doctor --json");
    assert!(all.contains("\"what\": \"kvm\""), "{all}");
    let everywhere = "nothing is amiss";
    assert!(all.contains(everywhere), "{all}");
}

#[test]
fn a_log_and_leftovers_are_json_for_programs() {
    let host = Host::new();
    host.foreign("web", script::SLEEPS);
    host.run("create web -f ./foreign/web");
    host.run("start web");
    host.run("stop web");
    let said = host.run("logs web --json");
    let line = said
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("it says something");
    let object: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
    assert_eq!(object["vm"], "web");
    assert!(said.contains("the guest says hello"), "{said}");
    host.write("vms/web/microvm-run", "");
    let said = host.run("migrate --json");
    assert!(said.contains("\"step\": \"remove\""), "{said}");
    assert!(host.state("web/microvm-run").exists());
}
