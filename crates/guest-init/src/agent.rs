//! The agent: a small process beside the guest's init, which powers the guest off when its
//! hypervisor has no way to ask, or the guest would not hear it.
//!
//! It listens on one channel, for lines: `ping` is answered with `pong`, `poweroff` with `ok`,
//! and then PID 1 is asked; all else with `error: …`. Or it waits for the power button. It runs
//! nothing else for anybody.

mod button;
mod channel;
mod init;
mod lines;
mod port;
mod serial;
pub mod vsock;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use guest_init::config::Agent;

use crate::shutdown;

/// How it is called in the guest's list of processes.
const NAME: &str = "microvm-agent";

/// Longest wait for a device that is not there, or a channel that was lost.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether this process is to be the agent.
pub fn is_asked_for() -> bool {
    is_called(NAME)
}

/// Whether this process was started under a name, with a directory before it or without one.
pub fn is_called(name: &str) -> bool {
    let own = std::env::args_os().next();
    own.is_some_and(|own| Path::new(&own).file_name() == Some(OsStr::new(name)))
}

/// Starts it; a guest without it still boots, and says so.
pub fn start(agent: &Agent) {
    // The copy that stays anyway: memory for /init, which is deleted, is given back.
    let started = Command::new(shutdown::PROGRAM)
        .arg0(NAME)
        .args(agent.words())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        println!("microvm: the agent that asks for a power-off does not start: {error}");
    }
}

/// Serves for as long as the guest runs.
pub fn run() -> ! {
    // No terminal's signals reach it.
    let _ = nix::unistd::setsid();
    // Else it is called `exe`, after what was executed.
    let _ = nix::sys::prctl::set_name(c"microvm-agent");
    let words: Vec<String> = std::env::args().skip(1).collect();
    let agent = match &words[..] {
        [kind, name] => Agent::parse(kind, name),
        _ => None,
    };
    let Some(agent) = agent else {
        std::process::exit(2);
    };
    let mut pause = Duration::from_millis(50);
    loop {
        // Comes back when the channel is lost, or is not there yet.
        let _ = match &agent {
            Agent::Serial(name) => serial::serve(name),
            Agent::Port(name) => port::serve(name),
            Agent::Vsock(port) => vsock::serve(*port),
            Agent::Button => button::serve(),
        };
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
