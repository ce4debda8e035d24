//! Real programs: QEMU, its control socket, our own daemons; no guest is booted.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod console;
mod control;
mod exec;
mod relay;
mod shares;
mod stand_in;
mod supervise;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

/// A test under its own path.
macro_rules! trial {
    ($path:path) => {
        Trial::test(stringify!($path), || {
            $path();
            Ok(())
        })
    };
}

/// Not the usual harness, for this program is also what the tests start.
fn main() -> ExitCode {
    if let Some(code) = stand_in::main() {
        return code;
    }
    let trials = vec![
        trial!(console::who_comes_late_sees_what_was_said_and_may_answer),
        trial!(console::nobody_who_looks_away_holds_the_guest_up),
        trial!(console::a_keeper_ends_with_a_hypervisor_that_was_killed),
        trial!(console::ctrl_a_x_ends_even_what_ignores_it),
        trial!(control::a_guest_that_does_not_stop_is_ended),
        trial!(control::hurry_cuts_the_waiting),
        trial!(control::pause_resume_and_balloon),
        trial!(control::a_held_socket_is_said_to_be_held),
        trial!(control::a_hung_hypervisor_is_killed),
        trial!(exec::the_hypervisor_inherits_the_lock_its_name_and_nothing_else),
        trial!(exec::what_fails_before_is_told_and_nothing_runs),
        trial!(relay::both_directions_and_their_ends),
        trial!(relay::a_closed_port_is_said),
        trial!(shares::the_service_is_ready_serves_again_and_leaves_nothing),
        trial!(shares::daemons_do_not_outlive_a_service_that_was_killed),
        trial!(shares::a_real_hypervisor_connects),
        trial!(shares::a_missing_directory_is_named),
        trial!(shares::a_daemon_that_cannot_start_says_why),
        trial!(supervise::a_signal_stops_and_a_second_one_hurries),
        trial!(supervise::shares_live_as_long_as_the_run),
        trial!(supervise::nothing_outlives_a_run_that_was_killed),
        trial!(supervise::a_signal_to_both_is_an_interruption),
        trial!(supervise::a_taken_port_is_understood),
        trial!(supervise::other_failures_are_quoted_and_refusals_passed_on),
        trial!(supervise::a_signal_before_the_guest_runs_is_an_interruption),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const QEMU: &str = "qemu-system-x86_64";

/// A state directory whose path is short enough for sockets.
fn state() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("mvh")
        .tempdir_in("/tmp")
        .unwrap()
}

/// Writes what the stand-in is told and gives the command.
fn told(state: &Path, verb: &str, what: &serde_json::Value) -> Command {
    let file = state.join(format!("{verb}.json"));
    std::fs::write(&file, what.to_string()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(verb).arg(file).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program's path; without it the test says why it is skipped.
fn qemu() -> Option<PathBuf> {
    let found = host::program::find(QEMU).ok();
    if found.is_none() {
        println!("skipped: no {QEMU}");
    }
    found
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no {what} in time"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The file is there a moment before somebody listens.
fn wait_for_control(socket: &Path) {
    wait_for("control socket", || {
        std::os::unix::net::UnixStream::connect(socket).is_ok()
    });
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// Killed with the test.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, signal).unwrap();
}

/// Processes whose command line holds a text.
fn processes_with(text: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}
