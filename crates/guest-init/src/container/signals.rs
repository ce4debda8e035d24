//! Signals as something to wait for, together with the power button.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::TO_STOP;
use crate::Result;
use crate::button::Buttons;
use crate::failure::Failure;

/// All that init hears of.
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Keeps them from acting from now on.
    pub fn receive() -> Result<Self> {
        let cannot = |errno| Failure::new(format!("Cannot receive signals: {errno}"));
        let set = set();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(cannot)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags).map_err(cannot)?;
        Ok(Self { fd })
    }

    /// Waits until something happens; says whether the guest is to stop.
    pub fn wait(&self, buttons: &Buttons, bound: Option<Duration>) -> Result<bool> {
        let mut fds = vec![PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        fds.extend(buttons.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = bound.map_or(PollTimeout::NONE, |bound| {
            PollTimeout::try_from(bound).unwrap_or(PollTimeout::MAX)
        });
        let _ = poll(&mut fds, timeout);
        let mut to_stop = buttons.are_pressed();
        while let Ok(Some(info)) = self.fd.read_signal() {
            to_stop |= TO_STOP.contains(&(info.ssi_signo as i32));
        }
        Ok(to_stop)
    }
}

/// Every signal that stops the guest, and that of a child's end.
#[expect(unsafe_code, reason = "nix has no real-time signals")]
fn set() -> SigSet {
    let mut set = SigSet::empty();
    set.add(nix::sys::signal::Signal::SIGCHLD);
    let mut raw = *set.as_ref();
    for signal in TO_STOP {
        // SAFETY: the set was initialised, and the signals are valid ones.
        unsafe { libc::sigaddset(&mut raw, signal) };
    }
    // SAFETY: `raw` was initialised by sigemptyset through nix.
    unsafe { SigSet::from_sigset_t_unchecked(raw) }
}
