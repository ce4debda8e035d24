//! One open channel: an answer for each line.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::init;
use super::lines::{Lines, Request};

/// Longest wait for a peer that takes no answer.
const WRITE_TIMEOUT_MS: u16 = 2000;

/// A file that does not block, and what of a line came so far.
pub struct Channel {
    file: File,
    lines: Lines,
}

impl Channel {
    pub fn new(file: File) -> Self {
        Self {
            file,
            lines: Lines::default(),
        }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Forgets a line that its peer did not end.
    pub fn forget(&mut self) {
        self.lines = Lines::default();
    }

    /// Answers what can be read now; `false` at the end of the stream.
    pub fn proceed(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 256];
        let length = match self.file.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            read => read?,
        };
        for request in self.lines.feed(&bytes[..length]) {
            self.answer(request)?;
        }
        Ok(length > 0)
    }

    fn answer(&mut self, request: Request) -> io::Result<()> {
        match request {
            Request::Ping => self.write("pong\n"),
            Request::Unknown => self.write("error: known are `ping` and `poweroff`\n"),
            Request::PowerOff => match init::way() {
                Err(why) => self.write(&format!("error: {why}\n")),
                Ok(way) => {
                    // First: nobody may be left to say it afterwards. One who asks without
                    // listening is served all the same.
                    let answered = self.write("ok\n");
                    match init::ask(&way) {
                        Ok(()) => answered,
                        Err(why) => self.write(&format!("error: {why}\n")),
                    }
                }
            },
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                    if poll(&mut fds, PollTimeout::from(WRITE_TIMEOUT_MS))? == 0 {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until one of these files has something to say; gives what each has.
pub fn wait<const N: usize>(files: [&File; N]) -> io::Result<[PollFlags; N]> {
    let mut fds = files.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN));
    poll(&mut fds, PollTimeout::NONE)?;
    Ok(fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty())))
}
