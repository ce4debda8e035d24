//! A person's terminal, given over to the guest while it is wanted.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

/// Raw until it is dropped.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// `None` where stdin is no terminal, or one that another job has.
    pub fn of_stdin() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || tcgetpgrp(stdin.as_fd()) != Ok(getpgrp()) {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut modes = before.clone();
        cfmakeraw(&mut modes);
        tcsetattr(&stdin, SetArg::TCSANOW, &modes).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}
