//! What `microvm-run` does before and when it becomes the hypervisor.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::{Reaped, state, told, wait_for};

fn plan(state: &Path, program: &str, args: &[&str], before: Value) -> Value {
    let argv = json!({ "program": program, "process_name": "microvm@web", "args": args });
    json!({ "state": state, "before": before, "argv": argv })
}

pub fn the_hypervisor_inherits_the_lock_its_name_and_nothing_else() {
    let state = state();
    let pre_start = "echo \"$PWD\" > began";
    let script = state.path().join("extra");
    write_program(&script, "#!/bin/sh\necho one two\n");
    let body = "head -c 11 /proc/$$/cmdline; echo \" $0 $@\"; : > ready; exec sleep 60";
    let before = json!([{ "pre-start": pre_start }, { "extra-args": script }]);
    let plan = plan(state.path(), "/bin/sh", &["-c", body, "zero"], before);
    let mut first = Reaped(told(state.path(), "exec", &plan).spawn().unwrap());
    let ready = state.path().join("ready");
    wait_for("hypervisor", || ready.exists());
    let began = std::fs::read_to_string(state.path().join("began")).unwrap();
    assert_eq!(
        PathBuf::from(began.trim()),
        state.path().canonicalize().unwrap()
    );
    let second = told(state.path(), "exec", &plan).output().unwrap();
    assert_eq!(second.status.code(), Some(7));
    let expected = format!("as process {}", first.0.id());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(
        said.contains("`web` is already running in") && said.contains(&expected),
        "{said}"
    );
    let proc = PathBuf::from(format!("/proc/{}", first.0.id()));
    wait_for("sleep", || {
        std::fs::read(proc.join("comm")).unwrap() == b"sleep\n"
    });
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    assert_eq!(mask(&status, "SigBlk"), 0, "{status}");
    let ignored = 1 << (libc::SIGPIPE - 1);
    assert_eq!(mask(&status, "SigIgn") & ignored, ignored, "{status}");
    let open = open_files(&proc);
    assert_eq!(
        open.iter()
            .filter(|path| path.ends_with("web.lock"))
            .count(),
        1,
        "{open:?}"
    );
    assert!(
        open.iter()
            .all(|path| path.ends_with("web.lock") || path.ends_with("null")),
        "{open:?}"
    );
    first.0.kill().unwrap();
    let said = drain(&mut first);
    assert_eq!(said, "microvm@web zero one two\n");
}

fn mask(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

/// Paths behind the descriptors of a process; pipes and sockets are those of the test.
fn open_files(proc: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(proc.join("fd")).unwrap();
    let targets = entries.map(|entry| entry.unwrap().path().read_link().unwrap());
    targets.filter(|target| target.is_absolute()).collect()
}

/// By another process, since a program cannot be run while anybody has it open for writing.
fn write_program(path: &Path, text: &str) {
    let mut install = std::process::Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path);
    let mut child = install.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn drain(child: &mut Reaped) -> String {
    use std::io::Read;
    child.0.wait().unwrap();
    let mut said = String::new();
    child
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    said
}

pub fn what_fails_before_is_told_and_nothing_runs() {
    let state = state();
    let before = json!([{ "pre-start": "false; : > went-on" }]);
    let failing = plan(state.path(), "/bin/true", &[], before);
    let output = told(state.path(), "exec", &failing).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("`preStart` ended with exit status: 1"),
        "{said}"
    );
    assert!(!state.path().join("went-on").exists());
    let live = std::os::unix::net::UnixListener::bind(state.path().join("web.sock")).unwrap();
    let before = json!([{ "remove-stale-socket": "web.sock" }]);
    let output = told(
        state.path(),
        "exec",
        &plan(state.path(), "/bin/true", &[], before),
    )
    .output();
    assert_eq!(output.unwrap().status.code(), Some(7));
    drop(live);
    let absent = plan(state.path(), "/no/such/hypervisor", &[], json!([]));
    let output = told(state.path(), "exec", &absent).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
}
