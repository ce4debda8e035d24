//! The program, and every other process of the guest.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use guest_init::entry::Entry;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setsid, setuid};

use super::signals::Signals;
use crate::Result;
use crate::button::Buttons;
use crate::failure::Failure;

const CONSOLE: &str = "/dev/console";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Killed(i32),
    /// It did not, though it was asked to.
    Asked,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::Asked => write!(f, "not within its time"),
        }
    }
}

/// Starts the program on the console, as its user.
pub fn start(entry: &Entry) -> Result<Pid> {
    let program = &entry.command[0];
    let cannot = |why: &dyn fmt::Display| Failure::new(format!("Cannot run `{program}`: {why}"));
    let console = || OpenOptions::new().read(true).write(true).open(CONSOLE);
    let stdio = || console().map_or_else(|_| Stdio::null(), Stdio::from);
    // As container engines do, so that `/dev/stderr` can be opened anew.
    let _ = chown(CONSOLE, Some(entry.uid), None);
    std::fs::create_dir_all(&entry.directory).map_err(|error| cannot(&error))?;
    let variables = entry
        .environment
        .iter()
        .filter_map(|variable| variable.split_once('='));
    let mut command = Command::new(program);
    command
        .args(&entry.command[1..])
        .env_clear()
        .envs(variables)
        .env("TERM", "linux")
        .current_dir(&entry.directory)
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio());
    become_user(&mut command, entry);
    let child = command.spawn().map_err(|error| cannot(&error))?;
    Ok(Pid::from_raw(child.id() as i32))
}

#[expect(unsafe_code, reason = "what a child does before exec")]
fn become_user(command: &mut Command, entry: &Entry) {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    let groups: Vec<Gid> = [entry.gid]
        .iter()
        .chain(&entry.groups)
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    let assume = move || {
        let _ = setsid();
        // SAFETY: of a descriptor that this process has; it fails where that is no terminal.
        unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        setgroups(&groups)?;
        setgid(gid)?;
        setuid(uid)?;
        Ok(())
    };
    // SAFETY: system calls alone, of which each may follow a fork.
    unsafe { command.pre_exec(assume) };
}

/// Asks a process.
pub fn signal(process: Pid, signal: i32) {
    kill(process.as_raw(), signal);
}

#[expect(unsafe_code, reason = "nix has no real-time signals")]
fn kill(process: i32, signal: i32) {
    // SAFETY: kill(2) takes two numbers.
    unsafe { libc::kill(process, signal) };
}

/// Takes what ended; says how the program did, if it was among them.
pub fn reap(program: Pid) -> Option<Ended> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(process, code)) if process == program => {
                return Some(Ended::Exited(code));
            }
            Ok(WaitStatus::Signaled(process, signal, _)) if process == program => {
                return Some(Ended::Killed(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Ends all others, within a bound.
pub fn end_all(signals: &Signals, bound: Duration) {
    kill(-1, libc::SIGTERM);
    let start = Instant::now();
    while some_are_left() && start.elapsed() < bound {
        let _ = signals.wait(&Buttons::none(), Some(Duration::from_millis(100)));
    }
    kill(-1, libc::SIGKILL);
    some_are_left();
}

/// Takes what ended meanwhile.
fn some_are_left() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
