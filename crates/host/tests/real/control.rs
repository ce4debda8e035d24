//! Control of a real QEMU over QMP.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use backend::control::{Api, Control};
use host::control::{self, RunState, Stopped};
use host::qmp::Qmp;

use super::{Reaped, qemu, state, wait_for_control};

fn start(state: &Path, args: &[&str]) -> Option<(Reaped, Control)> {
    let socket = state.join("web.sock");
    let mut command = Command::new(qemu()?);
    command
        .args(["-nodefaults", "-display", "none", "-accel", "tcg"])
        .args(args);
    command
        .arg("-qmp")
        .arg(format!("unix:{},server=on,wait=off", socket.display()));
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    let child = Reaped(child);
    wait_for_control(&socket);
    let control = Control {
        vm: "web".to_owned(),
        mem_mib: 64,
        api: Api::Qmp { socket },
        agent: None,
        vsock: None,
    };
    Some((child, control))
}

fn shutdown(control: &Control, timeout: Duration) -> Result<Stopped, control::Error> {
    control::shutdown(control, timeout, &AtomicBool::new(false))
}

pub fn a_guest_that_does_not_stop_is_ended() {
    let state = state();
    let Some((mut qemu, control)) = start(state.path(), &["-M", "q35", "-m", "64", "-S"]) else {
        return;
    };
    assert_eq!(control::state(&control).unwrap(), RunState::Between);
    let begun = Instant::now();
    let timeout = Duration::from_millis(700);
    assert_eq!(shutdown(&control, timeout).unwrap(), Stopped::Quit);
    assert!(begun.elapsed() >= timeout);
    assert!(qemu.0.wait().unwrap().success());
    assert_eq!(shutdown(&control, timeout).unwrap(), Stopped::NotRunning);
}

pub fn hurry_cuts_the_waiting() {
    let state = state();
    let Some((_qemu, control)) = start(state.path(), &["-M", "q35", "-m", "64"]) else {
        return;
    };
    let hurry = AtomicBool::new(false);
    let begun = Instant::now();
    let stopped = std::thread::scope(|scope| {
        let asking = scope.spawn(|| control::shutdown(&control, Duration::from_secs(600), &hurry));
        std::thread::sleep(Duration::from_millis(300));
        hurry.store(true, std::sync::atomic::Ordering::Relaxed);
        asking.join().unwrap().unwrap()
    });
    assert_eq!(stopped, Stopped::Quit);
    assert!(begun.elapsed() < Duration::from_secs(300));
}

pub fn pause_resume_and_balloon() {
    let state = state();
    let Some((_qemu, control)) = start(state.path(), &["-M", "q35", "-m", "64"]) else {
        return;
    };
    control::pause(&control).unwrap();
    assert_eq!(control::state(&control).unwrap(), RunState::Paused);
    control::resume(&control).unwrap();
    assert_eq!(control::state(&control).unwrap(), RunState::Running);
    let error = control::balloon(&control, 32).unwrap_err();
    assert!(matches!(error, control::Error::NoBalloon), "{error}");
    control::quit(&control).unwrap();
}

pub fn a_held_socket_is_said_to_be_held() {
    let state = state();
    let Some((_qemu, control)) = start(state.path(), &["-M", "none"]) else {
        return;
    };
    let Api::Qmp { socket } = &control.api else {
        unreachable!()
    };
    let patience = Duration::from_millis(500);
    let holder = Qmp::connect(socket, patience).unwrap();
    let error = Qmp::connect(socket, patience).unwrap_err();
    assert!(
        error.to_string().contains("another client holds it"),
        "{error}"
    );
    drop(holder);
    Qmp::connect(socket, Duration::from_secs(5)).unwrap();
    control::quit(&control).unwrap();
}

pub fn a_hung_hypervisor_is_killed() {
    let state = state();
    let Some((mut qemu, control)) = start(state.path(), &["-M", "none"]) else {
        return;
    };
    let Api::Qmp { socket } = &control.api else {
        unreachable!()
    };
    let qmp = Qmp::connect(socket, Duration::from_secs(5)).unwrap();
    assert!(qmp.kill());
    assert!(!qemu.0.wait().unwrap().success());
}
