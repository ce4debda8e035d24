//! A hypervisor's process, held so that its number cannot come to mean another one.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::lock::RunLock;

/// A process that ran when it was looked for.
#[derive(Debug)]
pub struct Process {
    fd: OwnedFd,
    pid: Pid,
}

impl Process {
    /// The holder of a VM's lock; `None` where it does not run, or runs in another PID namespace.
    pub fn of_lock(state: &Path, vm: &str) -> Option<Self> {
        let process = Self::open(RunLock::holder(state, vm)?)?;
        // Only a holder that still holds it is the process that was opened.
        (RunLock::holder(state, vm)? == process.pid()).then_some(process)
    }

    /// The process that listens on a socket, by its credentials.
    pub fn behind(stream: &UnixStream) -> Option<Self> {
        let option = nix::sys::socket::sockopt::PeerCredentials;
        let credentials = nix::sys::socket::getsockopt(stream, option).ok()?;
        Self::open(u32::try_from(credentials.pid()).ok()?)
    }

    /// The process of a number, which may have come to mean another one.
    pub(crate) fn open(pid: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { fd, pid })
    }

    /// The same process, held once more.
    pub fn again(&self) -> Option<Self> {
        let fd = self.fd.try_clone().ok()?;
        Some(Self { fd, pid: self.pid })
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Where the kernel tells of it.
    pub fn directory(&self, proc: &Path) -> PathBuf {
        proc.join(self.pid().to_string())
    }

    /// Waits until it has ended, at most so long; says whether it has.
    pub fn wait(&self, timeout: Duration) -> bool {
        is_readable(&self.fd, timeout)
    }

    /// Says whether there was a process to signal.
    pub fn signal(&self, signal: Signal) -> bool {
        pidfd_send_signal(&self.fd, signal).is_ok()
    }

    /// Time since it started.
    pub fn uptime(&self, proc: &Path) -> Option<Duration> {
        let stat = std::fs::read_to_string(self.directory(proc).join("stat")).ok()?;
        // The name in parentheses may have spaces; field 22 is the start in ticks since boot.
        let ticks: u64 = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(19)?
            .parse()
            .ok()?;
        let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
        let per_second = u64::try_from(per_second.ok()??).ok()?;
        let started = Duration::from_millis(ticks.checked_mul(1000)?.checked_div(per_second)?);
        let uptime = std::fs::read_to_string(proc.join("uptime")).ok()?;
        let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        Duration::try_from_secs_f64(seconds)
            .ok()?
            .checked_sub(started)
    }

    /// Memory of the host that it has in use, in MiB.
    pub fn resident_mib(&self, proc: &Path) -> Option<u64> {
        let file = self.directory(proc).join("status");
        let status = std::fs::read_to_string(file).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024)
    }
}

/// Whether a descriptor can be read within a time.
pub(crate) fn is_readable(fd: &impl AsFd, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).ok();
    matches!(rustix::event::poll(&mut fds, timeout.as_ref()), Ok(count) if count > 0)
}
