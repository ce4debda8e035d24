//! The share daemons: as a service, and against the vhost-user client of a real QEMU.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Reaped, processes_with, qemu, signal, state, text, told, wait_for};

fn share(state: &Path, tag: &str) -> Value {
    let source = state.join(tag);
    std::fs::create_dir_all(&source).unwrap();
    json!({
        "tag": tag, "source": source, "socket": state.join(format!("{tag}.sock")),
        "cache": "auto", "posix_acl": true, "access": "read-write",
        "inode_file_handles": "prefer", "threads": 2, "extra_args": [],
    })
}

/// Whether daemons can be sandboxed here at all.
fn can_serve() -> bool {
    let can = host::user::is_root();
    if !can {
        println!("skipped: run as root, for other users may have no namespaces here");
    }
    can
}

pub fn the_service_is_ready_serves_again_and_leaves_nothing() {
    if !can_serve() {
        return;
    }
    let state = state();
    let notify = UnixDatagram::bind(state.path().join("notify")).unwrap();
    notify
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let shares = json!([share(state.path(), "one"), share(state.path(), "two")]);
    let mut command = told(state.path(), "virtiofsd-run", &shares);
    command
        .env("NOTIFY_SOCKET", state.path().join("notify"))
        .stderr(Stdio::inherit());
    let mut service = Reaped(command.spawn().unwrap());
    let mut said = [0; 32];
    let length = notify.recv(&mut said).unwrap();
    assert_eq!(&said[..length], b"READY=1");
    let socket = state.path().join("one.sock");
    assert_eq!(
        socket.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    handshake(&socket, Duration::from_secs(10));
    // The daemon has ended with its client; the next one finds another.
    handshake(&socket, Duration::from_secs(10));
    let mark = state.path().display().to_string();
    assert!(processes_with(&mark).len() > 2);
    let begun = Instant::now();
    signal(&service.0, Signal::SIGTERM);
    assert!(service.0.wait().unwrap().success());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(!socket.exists() && !state.path().join("two.sock").exists());
    wait_for("end of the daemons", || processes_with(&mark).is_empty());
}

/// VHOST_USER_GET_FEATURES (1), version 1, no payload; the answer carries 8 bytes of features.
fn handshake(socket: &Path, patience: Duration) {
    use std::io::{Read, Write};
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    let header = [1_u32, 1, 0].map(u32::to_ne_bytes).concat();
    stream.write_all(&header).unwrap();
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).unwrap();
    const VIRTIO_F_VERSION_1: u64 = 1 << 32;
    let features = u64::from_ne_bytes(answer[12..].try_into().unwrap());
    assert_ne!(features & VIRTIO_F_VERSION_1, 0);
}

pub fn daemons_do_not_outlive_a_service_that_was_killed() {
    if !can_serve() {
        return;
    }
    let state = state();
    let shares = json!([share(state.path(), "one")]);
    let mut service = Reaped(
        told(state.path(), "virtiofsd-run", &shares)
            .spawn()
            .unwrap(),
    );
    let socket = state.path().join("one.sock");
    wait_for("socket", || socket.exists());
    handshake(&socket, Duration::from_secs(10));
    service.0.kill().unwrap();
    service.0.wait().unwrap();
    let mark = state.path().display().to_string();
    wait_for("end of the daemons", || processes_with(&mark).is_empty());
}

pub fn a_real_hypervisor_connects() {
    let Some(qemu) = qemu().filter(|_| can_serve()) else {
        return;
    };
    let state = state();
    let mut read_only = share(state.path(), "one");
    read_only["access"] = "read-only".into();
    let mut service = Reaped(
        told(state.path(), "virtiofsd-run", &json!([read_only]))
            .spawn()
            .unwrap(),
    );
    let socket = state.path().join("one.sock");
    wait_for("socket", || socket.exists());
    let qmp =
        b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}{\"execute\":\"quit\"}\n";
    let mut hypervisor = Command::new(qemu)
        .args([
            "-M",
            "q35,accel=tcg,memory-backend=mem",
            "-m",
            "64",
            "-S",
            "-nodefaults",
        ])
        .args(["-object", "memory-backend-memfd,id=mem,size=64M,share=on"])
        .args(["-display", "none", "-qmp", "stdio"])
        .arg("-chardev")
        .arg(format!("socket,id=fs,path={}", socket.display()))
        .args(["-device", "vhost-user-fs-pci,chardev=fs,tag=one"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(hypervisor.stdin.as_mut().unwrap(), qmp).unwrap();
    let output = hypervisor.wait_with_output().unwrap();
    assert!(
        output.status.success() && text(&output).contains("prelaunch"),
        "{}",
        text(&output)
    );
    signal(&service.0, Signal::SIGTERM);
    service.0.wait().unwrap();
}

pub fn a_missing_directory_is_named() {
    let state = state();
    let absent = share(state.path(), "gone");
    std::fs::remove_dir(state.path().join("gone")).unwrap();
    let output = told(state.path(), "virtiofsd-run", &json!([absent]))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = text(&output);
    assert!(
        said.contains("of the share `gone` is not there; make it with `mkdir`"),
        "{said}"
    );
    assert!(!state.path().join("gone.sock").exists());
}

pub fn a_daemon_that_cannot_start_says_why() {
    if !can_serve() {
        return;
    }
    let state = state();
    let mut share = share(state.path(), "one");
    share["extra_args"] = json!(["--rlimit-nofile=100"]);
    let output = told(state.path(), "virtiofsd-run", &json!([share]))
        .output()
        .unwrap();
    let said = text(&output);
    assert!(
        said.contains("The daemon of the share `one` failed: 100 open files are too few"),
        "{said}"
    );
    assert!(!state.path().join("one.sock").exists());
}
