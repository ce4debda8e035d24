//! Runs commands for the host, over AF_VSOCK, where the VM has that: `microvm exec`, whether the
//! guest has booted, and keys for `microvm ssh`. A process beside the guest's init; it serves the
//! host (CID 2) alone, which can do with the guest what it likes anyway. Where any user of the host
//! could connect, because its kernel carries the connections, others than root only hear whether it
//! has booted.

mod keys;
mod serve;
mod terminal;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use guest_init::config::Commands;
use guest_init::exec::PORT;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, fork};
use std::os::fd::AsFd;

use crate::agent::{self, vsock};
use crate::shutdown;

const NAME: &str = "microvm-exec";

/// Whether this process is to be it.
pub fn is_asked_for() -> bool {
    agent::is_called(NAME)
}

/// Starts it; a guest without it still boots, and says so.
pub fn start(commands: Commands) {
    let started = Command::new(shutdown::PROGRAM)
        .arg0(NAME)
        .arg(commands.word())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        println!("microvm: what runs the host's commands does not start: {error}");
    }
}

/// Serves for as long as the guest runs.
pub fn run() -> ! {
    let _ = nix::unistd::setsid();
    let _ = nix::sys::prctl::set_name(c"microvm-exec");
    let told = std::env::args().nth(1).unwrap_or_default();
    // One that is not told takes commands from root alone.
    let root_alone = Commands::parse(&told) != Some(Commands::Any);
    loop {
        // Comes back when there is no vsock yet.
        if let Ok(listener) = vsock::open(PORT) {
            accept_from(&listener, root_alone);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// A process for each connection; those that ended are reaped in passing.
fn accept_from(listener: &File, root_alone: bool) {
    loop {
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {
        }
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(1000u16)).is_err() {
            continue;
        }
        match vsock::accept(listener) {
            Ok(Some((connection, is_root))) => serve_apart(connection, is_root || !root_alone),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

#[expect(unsafe_code, reason = "fork(2)")]
fn serve_apart(connection: File, may_command: bool) {
    // SAFETY: this process has one thread, so that the child may do what it likes.
    if let Ok(ForkResult::Child) = unsafe { fork() } {
        let _ = nix::fcntl::fcntl(
            &connection,
            nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
        );
        serve::serve(connection, may_command);
        std::process::exit(0);
    }
}
