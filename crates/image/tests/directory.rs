//! Guests from a root tree, built for real.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use image::Kind;
use spec::guest::{File, FileContent, GuestSource, Network, User};
use spec::vm::{RootShare, StoreKind};
use support::*;

const TOOLS: [&str; 4] = ["mkfs.erofs", "fsck.erofs", "depmod", "unshare"];

/// As little of a system as can be customised without programs of its own.
fn small_tree(dir: &Path) -> PathBuf {
    let tree = dir.join("tree");
    for sub in [
        "etc/ssh/sshd_config.d",
        "usr/sbin",
        "boot",
        "root",
        "run",
        "dev/old",
        "tmp/old",
    ] {
        fs::create_dir_all(tree.join(sub)).unwrap();
    }
    for (name, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("etc/group", "root:x:0:\nsudo:x:27:\n"),
        ("etc/ssh/ssh_host_rsa_key", "baked in"),
        ("usr/sbin/sshd", ""),
        ("usr/big", &"0123456789abcdef".repeat(100_000)),
        ("boot/vmlinuz-6.1.0-1", "kernel"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ] {
        fs::write(tree.join(name), text).unwrap();
    }
    tree
}

fn directory_vm(tree: &Path) -> spec::Vm {
    let mut guest = guest(GuestSource::Directory(tree.to_owned()));
    guest.network = Network::None;
    guest.root_password = Some(String::new());
    guest.ssh_keys = vec!["ssh-ed25519 AAAA me@here".into()];
    guest.users.insert(
        "ann".into(),
        User {
            groups: vec!["sudo".into()],
            password: Some("secret".into()),
            ..User::default()
        },
    );
    guest.autologin = Some("ann".into());
    guest.files.insert(
        "/home/ann/.config/x".into(),
        File {
            content: FileContent::Text("hello".into()),
            mode: 0o640,
            owner: "ann:sudo".into(),
        },
    );
    // What the tree has as sshd is no program: its unit is not to be enabled in this test.
    fs::remove_dir_all(tree.join("usr/sbin")).unwrap_or_default();
    vm(guest)
}

fn fingerprint(tree: &Path) -> String {
    let mut ls = Command::new("ls");
    let output = ls.args(["-lRn", "--full-time"]).arg(tree).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tree_becomes_a_guest_and_stays_as_it_is() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let tree = small_tree(temp.path());
    let vm = directory_vm(&tree);
    let before = fingerprint(&tree);
    let built = Bench::new(temp.path(), &cache()).build(&vm).unwrap();
    assert_eq!(fingerprint(&tree), before);
    assert_eq!(fs::read_to_string(&built.kernel).unwrap(), "kernel");

    let out = temp.path().join("out");
    extract(built.store_disk.as_deref().unwrap(), &out);
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(
        read("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"
    );
    assert_eq!(read("etc/group"), "root:x:0:\nsudo:x:27:ann\nann:x:1000:\n");
    let shadow = read("etc/shadow");
    assert!(
        shadow.starts_with("root:::0:99999:7:::\nann:$6$"),
        "{shadow}"
    );
    assert!(!shadow.contains("secret"));
    assert_eq!(
        read("root/.ssh/authorized_keys"),
        "ssh-ed25519 AAAA me@here\n"
    );
    assert_eq!(read("home/ann/.config/x"), "hello");
    assert_eq!(read("etc/machine-id"), "");
    assert_eq!(fs::read_dir(out.join("dev")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(out.join("tmp")).unwrap().count(), 0);
    let mode = |name: &str| out.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("home/ann/.config/x"), 0o640);
    assert_eq!(mode("root/.ssh"), 0o700);
    let getty = read("etc/systemd/system/serial-getty@.service.d/autologin.conf");
    assert!(getty.contains("--autologin ann "), "{getty}");
}

#[test]
fn unchanged_tree_is_not_built_again_and_a_changed_one_is() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let tree = small_tree(temp.path());
    let vm = directory_vm(&tree);
    let mut bench = Bench::new(temp.path(), &temp.path().join("cache"));
    let first = bench.build(&vm).unwrap();
    assert_eq!(bench.build(&vm).unwrap(), first);
    let mut other = Bench::new(&temp.path().join("other"), &cache());
    let again = other.build(&vm).unwrap();
    let read = |built: &image::Built| fs::read(built.store_disk.as_ref().unwrap()).unwrap();
    assert!(read(&first) == read(&again), "two builds differ");
    fs::write(tree.join("etc/motd"), "new").unwrap();
    assert_ne!(bench.build(&vm).unwrap().store_disk, first.store_disk);
}

#[test]
fn links_of_a_tree_do_not_lead_out_of_it() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let tree = small_tree(temp.path());
    let vm = directory_vm(&tree);
    for name in ["etc/systemd", "home", "root"] {
        let _ = fs::remove_dir_all(tree.join(name));
        symlink(&outside, tree.join(name)).unwrap();
    }
    fs::write(outside.join("hostname"), "host").unwrap();
    symlink(outside.join("hostname"), tree.join("etc/hostname")).unwrap();
    symlink("/proc/1/root", tree.join("var")).unwrap();
    // In the tree the links dangle: what would be written through them is refused.
    let result = Bench::new(temp.path(), &cache()).build(&vm);
    assert!(result.is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(outside.join("hostname")).unwrap(),
        "host"
    );
}

#[test]
fn full_disk_is_told_and_leaves_nothing() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let tree = small_tree(temp.path());
    let small = temp.path().join("small");
    fs::create_dir(&small).unwrap();
    let mount = |args: &[&str]| {
        Command::new("mount")
            .args(args)
            .arg(&small)
            .status()
            .unwrap()
    };
    assert!(mount(&["-t", "tmpfs", "-o", "size=100k", "none"]).success());
    let mut bench = Bench::new(&small, &cache());
    let mut vm = directory_vm(&tree);
    vm.store.kind = StoreKind::Erofs {
        flags: Some(vec!["-Enosbcrc".into()]),
    };
    let error = bench.build(&vm).unwrap_err();
    let left = leftovers(&bench.store());
    let status = Command::new("umount").arg(&small).status().unwrap();
    assert!(status.success());
    assert_eq!(error.kind(), Kind::Storage, "{error}");
    assert!(error.to_string().contains("is full"), "{error}");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn tree_for_a_share_is_copied_and_closed_to_others() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let tree = small_tree(temp.path());
    let mut vm = directory_vm(&tree);
    vm.store.kind = StoreKind::Share(RootShare::Virtiofs);
    let built = Bench::new(temp.path(), &cache()).build(&vm).unwrap();
    let root = built.root_tree.unwrap();
    assert_eq!(built.store_disk, None);
    assert_eq!(
        fs::read_to_string(root.join("home/ann/.config/x")).unwrap(),
        "hello"
    );
    let entry = root.parent().unwrap().metadata().unwrap();
    assert_eq!(entry.permissions().mode() & 0o777, 0o500);
}

#[test]
fn mistakes_are_told_in_words() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let tree = small_tree(temp.path());
    let mut bench = Bench::new(temp.path(), &cache());
    let mut message = |change: &dyn Fn(&mut spec::guest::Guest)| {
        let mut vm = directory_vm(&tree);
        change(&mut vm.guest);
        bench.build(&vm).unwrap_err().to_string()
    };
    let messages = [
        message(&|guest| guest.autologin = Some("bob".into())),
        message(&|guest| guest.enable = vec!["x.service".into()]),
        message(&|guest| guest.users.get_mut("ann").unwrap().groups = vec!["wheel".into()]),
        message(&|guest| guest.files.values_mut().next().unwrap().owner = "bob".into()),
        message(&|guest| guest.run = vec!["true".into()]),
    ];
    insta::assert_snapshot!(messages.join("\n"));
    assert_eq!(leftovers(&bench.store()), Vec::<String>::new());
}
