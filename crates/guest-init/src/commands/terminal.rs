//! A terminal of its own for a command.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::pty::{Winsize, openpty};

/// Our end, and the command's.
pub fn open(size: (u16, u16)) -> nix::Result<(File, File)> {
    let pty = openpty(&winsize(size), None)?;
    Ok((File::from(pty.master), File::from(pty.slave)))
}

#[expect(unsafe_code, reason = "nix has no such call")]
pub fn resize(terminal: &File, size: (u16, u16)) {
    // SAFETY: TIOCSWINSZ reads one winsize, which lives on.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &winsize(size)) };
}

fn winsize((rows, columns): (u16, u16)) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
