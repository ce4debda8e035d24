//! The power button as the agent's channel: for a guest whose init leaves the button to a daemon
//! that is not there (busybox, OpenRC, runit, s6, systemd without logind).

use std::io::{self, ErrorKind, Write};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::init;
use crate::button::Buttons;

/// Serves for as long as there are input devices.
pub fn serve() -> io::Result<()> {
    let buttons = Buttons::open();
    loop {
        let mut fds: Vec<_> = buttons
            .fds()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        if fds.is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        poll(&mut fds, PollTimeout::NONE)?;
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        if fds
            .iter()
            .any(|fd| fd.revents().is_some_and(|state| state.intersects(gone)))
        {
            return Ok(());
        }
        drop(fds);
        if buttons.are_pressed()
            && let Err(why) = power_off()
        {
            say(&why);
        }
    }
}

fn power_off() -> Result<(), String> {
    init::ask(&init::way()?)
}

/// To the console, by the kernel's log: who pressed the button cannot be answered.
fn say(why: &str) {
    if let Ok(mut log) = std::fs::OpenOptions::new().write(true).open("/dev/kmsg") {
        let _ = writeln!(log, "microvm: the power button was pressed: {why}");
    }
}
