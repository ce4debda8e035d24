//! Guests from Debian's packages, built for real with the archive that this host uses.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use image::{Error, Kind, Lock};
use spec::guest::{Debian, GuestSource};
use support::*;

const TOOLS: [&str; 4] = ["mmdebstrap", "mkfs.erofs", "fsck.erofs", "depmod"];

fn bookworm() -> spec::Vm {
    let mut guest = guest(debian("bookworm"));
    guest.root_password = Some(String::new());
    guest.run = vec!["echo ran > /etc/ran".into()];
    vm(guest)
}

/// One test, because each build takes a while and uses the one before.
#[test]
fn bookworm_is_built_reproducibly_and_pinned() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(&temp.path().join("first"), &cache());
    let vm = bookworm();
    let built = match bench.build(&vm) {
        Err(Error::Archive { url, reason }) => {
            return eprintln!("skipped: {url}: {reason}");
        }
        built => built.unwrap(),
    };
    check_tree(
        built.store_disk.as_deref().unwrap(),
        &temp.path().join("tree"),
    );
    assert!(built.kernel.ends_with("vmlinuz"));

    let before = written(&bench.store());
    assert_eq!(bench.build(&vm).unwrap(), built);
    assert_eq!(written(&bench.store()), before);

    // With the lock alone, in another store.
    let mut other = Bench::new(&temp.path().join("other"), &cache());
    other.lock = Lock::parse(&bench.lock.render()).unwrap();
    let again = other.build(&vm).unwrap();
    let disk = |built: &image::Built| built.store_disk.clone().unwrap();
    assert_eq!(disk(&again).file_name(), disk(&built).file_name());
    assert!(
        fs::read(disk(&again)).unwrap() == fs::read(disk(&built)).unwrap(),
        "two builds differ"
    );

    interrupted_build_leaves_nothing(temp.path(), &bench.lock);
    versions_that_are_gone_are_named(temp.path(), &bench.lock);
}

fn check_tree(disk: &Path, out: &Path) {
    extract(disk, out);
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("etc/ran"), "ran\n");
    assert!(
        read("etc/shadow")
            .lines()
            .any(|line| line.starts_with("root::"))
    );
    assert!(read("etc/ssh/sshd_config.d/10-microvm.conf").contains("PermitRootLogin yes"));
    assert!(read("etc/apt/sources.list.d/debian.sources").contains("Suites: bookworm\n"));
    assert_eq!(read("etc/hostname"), "localhost\n");
    assert_eq!(read("etc/machine-id"), "");
    let names = |dir: &str| -> Vec<String> {
        let children = fs::read_dir(out.join(dir)).unwrap();
        children
            .map(|child| child.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert!(
        !names("etc/ssh")
            .iter()
            .any(|name| name.starts_with("ssh_host"))
    );
    assert!(!names("etc/apt/apt.conf.d").contains(&"00mmdebstrap".to_owned()));
    for empty in ["dev", "run", "tmp", "var/lib/apt/lists", "boot"] {
        assert_eq!(names(empty), Vec::<String>::new(), "{empty}");
    }
    let release = names("lib/modules").pop().unwrap();
    assert!(
        out.join("lib/modules")
            .join(release)
            .join("modules.dep")
            .exists()
    );
    let wants = names("etc/systemd/system/multi-user.target.wants");
    for unit in [
        "systemd-networkd.service",
        "ssh.service",
        "microvm-ssh-host-keys.service",
    ] {
        assert!(wants.contains(&unit.to_owned()), "{wants:?}");
    }
    assert_eq!(
        names("etc/systemd/system/network-online.target.wants"),
        Vec::<String>::new()
    );
}

fn interrupted_build_leaves_nothing(dir: &Path, lock: &Lock) {
    let mut bench = Bench::new(&dir.join("cut"), &cache());
    bench.lock = Lock::parse(&lock.render()).unwrap();
    let mut vm = bookworm();
    vm.guest.run = vec!["sleep 60".into()];
    let before = mounts();
    let result = std::thread::scope(|scope| {
        let builder = scope.spawn(|| {
            let store = bench.store();
            let mut lock = Lock::parse(&lock.render()).unwrap();
            let context = image::BuildContext {
                cache_dir: cache(),
                hook_exe: env!("CARGO_BIN_EXE_microvm-image-hook").into(),
                update: false,
                progress: &image::Silent,
                interrupted: &bench.interrupted,
                initrd: &FakeInitrd,
            };
            image::build(&vm, &store, &mut lock, &context)
        });
        std::thread::sleep(Duration::from_secs(4));
        bench.interrupted.store(true, Ordering::Relaxed);
        builder.join().unwrap()
    });
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    assert_eq!(leftovers(&bench.store()), Vec::<String>::new());
    assert_eq!(mounts(), before);
}

fn versions_that_are_gone_are_named(dir: &Path, lock: &Lock) {
    let mut bench = Bench::new(&dir.join("gone"), &cache());
    let text = lock.render();
    let dash = text.lines().find(|line| line.contains("\"dash ")).unwrap();
    bench.lock = Lock::parse(&text.replace(dash, "    \"dash 0.0.1 amd64\",")).unwrap();
    let error = bench.build(&bookworm()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The archive no longer has these versions that `microvm.lock` names: \
         `dash 0.0.1 amd64`; `microvm build --update` takes what it has now"
    );
    assert_eq!(error.kind(), Kind::Build);
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}

#[test]
fn package_that_does_not_exist_is_named() {
    if !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let guest = guest(GuestSource::Debian(Debian {
        suite: "bookworm".into(),
        packages: vec!["no-such-package".into(), "htop".into(), "nor-this".into()],
        mirror: None,
    }));
    match Bench::new(temp.path(), &cache()).build(&vm(guest)) {
        Err(Error::Archive { url, reason }) => eprintln!("skipped: {url}: {reason}"),
        result => assert_eq!(
            result.unwrap_err().to_string(),
            "Debian `bookworm` has no package `no-such-package`, `nor-this`"
        ),
    }
}

#[test]
fn mirror_that_cannot_be_reached_is_named() {
    if !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let guest = guest(GuestSource::Debian(Debian {
        suite: "bookworm".into(),
        packages: Vec::new(),
        mirror: Some("http://127.0.0.1:9/debian".into()),
    }));
    let error = Bench::new(temp.path(), temp.path())
        .build(&vm(guest))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("Archive `http://127.0.0.1:9/debian/dists/bookworm/InRelease` cannot")
    );
    assert!(text.contains("Could not connect to 127.0.0.1:9"), "{text}");
    assert_eq!(error.kind(), Kind::Build);
}
