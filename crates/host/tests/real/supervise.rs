//! A run in the foreground and the ways to end it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{processes_with, qemu, signal, state, text, told, wait_for, wait_for_control};

/// How long a guest has to stop.
const STOP_MS: u64 = 1500;

fn run(state: &Path, program: &Path, args: &[String], served: Value) -> std::process::Command {
    run_within(STOP_MS, state, program, args, served)
}

fn run_within(
    stop_timeout_ms: u64,
    state: &Path,
    program: &Path,
    args: &[String],
    served: Value,
) -> std::process::Command {
    let control = json!({
        "vm": "web", "mem_mib": 64, "api": { "qmp": { "socket": "web.sock" } }, "agent": null,
    });
    let what = json!({
        "state": state, "program": program, "args": args, "control": control,
        "served": served, "stop_timeout_ms": stop_timeout_ms,
    });
    told(state, "supervise", &what)
}

fn qemu_args(state: &Path, more: &[&str]) -> Vec<String> {
    let fixed = [
        "-M",
        "q35",
        "-accel",
        "tcg",
        "-m",
        "64",
        "-nodefaults",
        "-display",
        "none",
    ];
    // The mark by which the test finds its own processes.
    let name = state.display().to_string();
    let control = ["-qmp", "unix:web.sock,server=on,wait=off", "-name", &name];
    let all = fixed.iter().chain(&control).chain(more);
    all.map(|&word| word.to_owned()).collect()
}

fn left(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".sock") || name.ends_with(".lock"))
        .collect()
}

fn share(state: &Path) -> Value {
    let source = state.join("dir");
    std::fs::create_dir_all(&source).unwrap();
    json!([{
        "tag": "one", "source": source, "socket": "one.sock", "cache": "auto", "posix_acl": true,
        "access": "read-write", "inode_file_handles": null, "threads": 1, "extra_args": [],
    }])
}

fn ends(child: Child, state: &Path, expected: &str) -> String {
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert!(said.starts_with(expected), "{said}");
    wait_for("end of all processes", || {
        processes_with(&state.display().to_string()).is_empty()
    });
    assert!(left(state).is_empty(), "{:?}", left(state));
    said
}

pub fn a_signal_stops_and_a_second_one_hurries() {
    let Some(qemu) = qemu() else { return };
    let state = state();
    // As long as no test takes, where it is not waited for.
    for (signals, stop_ms) in [(1, STOP_MS), (2, 600_000)] {
        let child = run_within(
            stop_ms,
            state.path(),
            &qemu,
            &qemu_args(state.path(), &[]),
            json!([]),
        )
        .spawn();
        let child = child.unwrap();
        wait_for_control(&state.path().join("web.sock"));
        let begun = Instant::now();
        signal(&child, Signal::SIGINT);
        if signals == 2 {
            std::thread::sleep(Duration::from_millis(200));
            signal(&child, Signal::SIGTERM);
        }
        let said = ends(child, state.path(), "Stopped(Quit)");
        assert!(
            said.contains(&format!(
                "SIGINT: asking `web` to shut down, for at most {} s",
                stop_ms / 1000
            )),
            "{said}"
        );
        let waited = begun.elapsed() >= Duration::from_millis(stop_ms);
        assert_eq!(waited, signals == 1, "{:?}", begun.elapsed());
    }
}

pub fn shares_live_as_long_as_the_run() {
    let Some(qemu) = qemu().filter(|_| host::user::is_root()) else {
        println!("skipped: needs root");
        return;
    };
    let state = state();
    let memory = "memory-backend-memfd,id=mem,size=64M,share=on";
    let more = [
        "-machine",
        "memory-backend=mem",
        "-object",
        memory,
        "-chardev",
        "socket,id=fs,path=one.sock",
        "-device",
        "vhost-user-fs-pci,chardev=fs,tag=one",
    ];
    let args = qemu_args(state.path(), &more);
    let child = run(state.path(), &qemu, &args, share(state.path()))
        .spawn()
        .unwrap();
    wait_for_control(&state.path().join("web.sock"));
    assert!(state.path().join("one.sock").exists());
    signal(&child, Signal::SIGHUP);
    ends(child, state.path(), "Stopped(Quit)");
}

pub fn nothing_outlives_a_run_that_was_killed() {
    let Some(qemu) = qemu().filter(|_| host::user::is_root()) else {
        println!("skipped: needs root");
        return;
    };
    let state = state();
    let args = qemu_args(state.path(), &[]);
    let mut child = run(state.path(), &qemu, &args, share(state.path()))
        .spawn()
        .unwrap();
    wait_for_control(&state.path().join("web.sock"));
    child.kill().unwrap();
    child.wait().unwrap();
    let mark = state.path().display().to_string();
    wait_for("end of all processes", || processes_with(&mark).is_empty());
    let control = state.path().join("web.sock");
    wait_for("end of its socket", || {
        std::os::unix::net::UnixStream::connect(&control).is_err()
    });
    // What it left does not hinder the next run.
    let args = qemu_args(state.path(), &["-S"]);
    let mut again = run(state.path(), &qemu, &args, share(state.path()));
    let child = again.stderr(Stdio::inherit()).spawn().unwrap();
    wait_for_control(&state.path().join("web.sock"));
    signal(&child, Signal::SIGTERM);
    ends(child, state.path(), "Stopped(Quit)");
}

pub fn a_taken_port_is_understood() {
    let Some(qemu) = qemu() else { return };
    let state = state();
    let holder = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let forward = format!("user,id=a,hostfwd=tcp:127.0.0.1:{port}-:22");
    let args = qemu_args(state.path(), &["-netdev", &forward]);
    let child = run(state.path(), &qemu, &args, json!([])).spawn().unwrap();
    let expected = format!("Busy: Port {port} of the host is taken by another program");
    ends(child, state.path(), &expected);
}

pub fn other_failures_are_quoted_and_refusals_passed_on() {
    let Some(qemu) = qemu() else { return };
    let state = state();
    let args = qemu_args(state.path(), &["-device", "no-such-device"]);
    let child = run(state.path(), &qemu, &args, json!([])).spawn().unwrap();
    let said = ends(
        child,
        state.path(),
        "Hypervisor: The hypervisor failed (exit status: 1): ",
    );
    assert!(said.contains("no-such-device"), "{said}");
    let args = ["-c", "echo error: no space >&2; exit 8"].map(str::to_owned);
    let output = run(state.path(), Path::new("/bin/sh"), &args, json!([]))
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), text(&output).as_str()),
        (Some(8), "error: no space\n")
    );
}

pub fn a_signal_before_the_guest_runs_is_an_interruption() {
    let state = state();
    let args = ["-c", "touch runs; exec sleep 600"].map(str::to_owned);
    let child = run(state.path(), Path::new("/bin/sh"), &args, json!([]))
        .spawn()
        .unwrap();
    wait_for("program", || state.path().join("runs").exists());
    signal(&child, Signal::SIGINT);
    ends(child, state.path(), "Interrupted");
}

pub fn a_signal_to_both_is_an_interruption() {
    let state = state();
    // Not SIGINT, which whoever started the tests may have ignored.
    let args = ["-c", "kill -TERM $$"].map(str::to_owned);
    let child = run(state.path(), Path::new("/bin/sh"), &args, json!([]))
        .spawn()
        .unwrap();
    ends(child, state.path(), "Interrupted");
}
