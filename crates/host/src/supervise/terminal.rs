//! The terminal as it was, for hypervisors change it and some die without changing it back.

use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::OFlag;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Restores modes and flags of stdin, stdout and stderr when it is dropped.
pub struct Terminal {
    modes: Option<Termios>,
    flags: Vec<OFlag>,
}

impl Terminal {
    pub fn remember() -> Self {
        Self {
            modes: tcgetattr(std::io::stdin()).ok(),
            flags: with_standard(|fd| flags_of(fd).unwrap_or(OFlag::empty())),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(modes) = &self.modes {
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, modes);
        }
        // QEMU leaves O_NONBLOCK on, which the shell shares with us.
        let mut before = self.flags.iter();
        with_standard(|fd| {
            let Some(before) = before.next() else { return };
            if flags_of(fd).is_some_and(|now| now != *before) {
                let _ = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(*before));
            }
        });
    }
}

fn with_standard<T>(mut each: impl FnMut(BorrowedFd<'_>) -> T) -> Vec<T> {
    let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    [input.as_fd(), output.as_fd(), errors.as_fd()]
        .map(&mut each)
        .into()
}

fn flags_of(fd: BorrowedFd<'_>) -> Option<OFlag> {
    let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).ok()?;
    Some(OFlag::from_bits_truncate(flags))
}
