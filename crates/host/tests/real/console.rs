//! The console's keeper, with a shell in the hypervisor's place.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use host::console::socket_of;
use nix::sys::signal::Signal;
use serde_json::json;

use super::{Reaped, signal, state, told, wait_for};

/// A shell that prints and reads as a hypervisor with the guest's console does.
fn start(state: &Path, body: &str) -> Child {
    let argv = json!({ "program": "/bin/sh", "process_name": null, "args": ["-c", body] });
    let plan = json!({ "state": state, "before": [], "argv": argv, "console": "plain" });
    let mut command = told(state, "exec", &plan);
    command.stdin(std::process::Stdio::piped()).spawn().unwrap()
}

fn attach(state: &Path) -> UnixStream {
    let path = state.join(socket_of("web"));
    wait_for("console", || UnixStream::connect(&path).is_ok());
    let stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

fn read_until(from: &mut impl Read, text: &str) -> String {
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains(text) {
        from.read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{said:?}: {error}"));
        said.push(char::from(byte[0]));
    }
    said
}

pub fn who_comes_late_sees_what_was_said_and_may_answer() {
    let state = state();
    let body = "echo early; read word; echo \"heard $word\"; read more; exit 0";
    let mut shell = Reaped(start(state.path(), body));
    let mut out = shell.0.stdout.take().unwrap();
    read_until(&mut out, "early");
    let mut late = attach(state.path());
    read_until(&mut late, "early");
    late.write_all(b"hello\n").unwrap();
    read_until(&mut late, "heard hello");
    read_until(&mut out, "heard hello");
    shell
        .0
        .stdin
        .take()
        .unwrap()
        .write_all(b"enough\n")
        .unwrap();
    assert!(shell.0.wait().unwrap().success());
    wait_for("end", || !state.path().join(socket_of("web")).exists());
    let mut rest = String::new();
    late.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "\n");
}

pub fn nobody_who_looks_away_holds_the_guest_up() {
    let state = state();
    let body = "i=0; while [ $i -lt 30000 ]; do echo \"line $i of a guest that talks\"; i=$((i+1)); done; : > done; read end";
    let mut shell = Reaped(start(state.path(), body));
    let _never_reads = attach(state.path());
    wait_for("guest", || state.path().join("done").exists());
    let mut late = attach(state.path());
    read_until(&mut late, "line 29999");
    drop(shell.0.stdin.take());
    late.write_all(b"end\n").unwrap();
    wait_for("end", || shell.0.try_wait().unwrap().is_some());
}

pub fn a_keeper_ends_with_a_hypervisor_that_was_killed() {
    let state = state();
    let shell = Reaped(start(state.path(), "echo up; exec sleep 60"));
    let mut attached = attach(state.path());
    read_until(&mut attached, "up");
    signal(&shell.0, Signal::SIGKILL);
    wait_for("keeper's end", || {
        !state.path().join(socket_of("web")).exists()
    });
    let mut rest = String::new();
    attached.read_to_string(&mut rest).unwrap();
}

pub fn ctrl_a_x_ends_even_what_ignores_it() {
    let state = state();
    let mut shell = Reaped(start(
        state.path(),
        "trap '' TERM; echo up; while :; do sleep 1; done",
    ));
    read_until(&mut attach(state.path()), "up");
    shell.0.stdin.take().unwrap().write_all(b"\x01x").unwrap();
    wait_for("end", || shell.0.try_wait().unwrap().is_some());
}
