//! A serial port as the agent's channel.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::sys::termios::{ControlFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::channel::{Channel, wait};

/// Serves until the line is hung up.
pub fn serve(name: &str) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NOCTTY | O_NONBLOCK)
        .open(format!("/dev/{name}"))?;
    make_raw(&file)?;
    let mut channel = Channel::new(file);
    loop {
        wait([channel.file()])?;
        if !channel.proceed()? {
            return Ok(());
        }
    }
}

/// No echo, no translation, no modem whose carrier matters; an emulated port has no speed.
fn make_raw(file: &File) -> io::Result<()> {
    let mut settings = tcgetattr(file)?;
    cfmakeraw(&mut settings);
    settings.control_flags |= ControlFlags::CLOCAL | ControlFlags::CREAD;
    settings.control_flags &= !(ControlFlags::HUPCL | ControlFlags::CRTSCTS);
    Ok(tcsetattr(file, SetArg::TCSANOW, &settings)?)
}
