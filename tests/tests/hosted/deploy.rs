//! `microvm deploy` over a real sshd on this host, to another state directory with another store.
//! The kernel is none, so that its hypervisor ends: what comes up is tried in `tests/vm`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use harness::host::{lacks, microvm};
use harness::sshd::Sshd;

use super::Host;

/// Exit code, and all that was said.
fn deploy(host: &Host, sshd: &Sshd, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(microvm());
    command.args(["deploy", "web"]);
    let output = sshd
        .reached_by(&mut command)
        .args(more)
        .current_dir(host.path())
        .env("MICROVM_STORE", host.path().join("store/entries"))
        .env("MICROVM_CACHE", host.path().join("cache"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("it can be run");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A guest of a small tree, with a kernel that no hypervisor takes.
fn define(host: &Host, options: &str) {
    for (file, text) in [
        ("tree/boot/vmlinuz-6.1.0-1", "no kernel"),
        ("tree/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("tree/etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("tree/usr/share/x", "x"),
    ] {
        host.write(file, text);
    }
    let guest =
        "guest.directory = \"./tree\"\nguest.network = \"none\"\nguest.rootShare = \"9p\"\n";
    host.write("microvm.toml", &format!("[vm.web]\n{guest}{options}\n"));
}

fn why_not() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    let programs = ["ssh", "sshd", "mkfs.erofs", "tar", "qemu-system-x86_64"];
    programs.into_iter().find_map(lacks)
}

fn current(host: &Host) -> PathBuf {
    let link = host.path().join("there/vms/web/current");
    std::fs::read_link(link).expect("it is a link")
}

#[test]
fn a_vm_is_copied_installed_updated_and_rolled_back() {
    if let Some(why) = why_not() {
        println!("skipped: a_vm_is_copied_installed_updated_and_rolled_back: {why}");
        return;
    }
    let host = Host::new();
    let sshd = Sshd::start(host.path()).expect("it starts");
    define(&host, "mem = 256");
    let (code, said) = deploy(&host, &sshd, &["--no-start"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("store entries"), "{said}");
    let first = current(&host);
    assert!(
        first.starts_with(host.path().join("there/store")),
        "{first:?}"
    );
    // All that it names is in the other store.
    let spec = std::fs::read_to_string(first.join("share/microvm/spec.json")).expect("it is there");
    assert!(!spec.contains("/store/entries/"), "{spec}");
    assert!(first.join("bin/microvm-run").exists());
    let system = first.join("share/microvm/system/kernel");
    assert_eq!(
        std::fs::read_to_string(system).expect("it leads there"),
        "no kernel"
    );

    // The same again copies nothing; another definition copies little, and does not come up.
    let (code, said) = deploy(&host, &sshd, &["--no-start"]);
    assert_eq!(
        (code, said.contains("store entries")),
        (Some(0), false),
        "{said}"
    );
    assert_eq!(current(&host), first);
    define(&host, "mem = 300");
    let (code, said) = deploy(&host, &sshd, &["--timeout", "20"]);
    assert_eq!(code, Some(9), "{said}");
    assert!(said.contains("the version before it is back"), "{said}");
    assert_eq!(current(&host), first);
    assert!(!host.path().join("there/vms/web/booted").exists());
}

#[test]
fn what_cannot_be_deployed_is_told() {
    let host = Host::new();
    host.define("");
    let said = host.run("deploy web -oProxyCommand=x");
    assert!(said.ends_with("exit 2\n"), "{said}");
    let said = host.run("deploy web -- -oProxyCommand=x");
    assert!(said.contains("is no host"), "{said}");
    let said = host.run("deploy web root@example.invalid");
    assert!(said.contains("is not in the store"), "{said}");
}
