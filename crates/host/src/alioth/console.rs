//! The guest's serial port at our standard input and output, whatever these are. The crate's own
//! console wants a terminal there, and leaves it non-blocking, so that output is lost (0.12).

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use alioth::device::console::Console;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

/// What the guest's serial port reads and writes.
#[derive(Debug)]
pub struct StandardIo {
    /// Opened anew, so that it alone does not block.
    input: Option<File>,
    output: File,
}

impl StandardIo {
    pub fn new() -> io::Result<Self> {
        let input = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open("/proc/self/fd/0");
        let output = io::stdout();
        Ok(Self {
            // A socket cannot be opened anew, and a guest can do without input.
            input: input.ok(),
            output: File::from(rustix::io::fcntl_dupfd_cloexec(&output, 3)?),
        })
    }
}

impl Read for &StandardIo {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.input {
            Some(input) => (&mut &*input).read(buffer),
            None => Ok(0),
        }
    }
}

impl Write for &StandardIo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &self.output).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Console for StandardIo {
    const TOKEN_INPUT: Token = Token(0);

    fn activate(&self, registry: &Registry) -> io::Result<()> {
        let Some(input) = &self.input else {
            return Ok(());
        };
        let mut source = SourceFd(&input.as_raw_fd());
        match registry.register(&mut source, Self::TOKEN_INPUT, Interest::READABLE) {
            // Files and /dev/null have nothing to wait for.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }

    fn deactivate(&self, registry: &Registry) -> io::Result<()> {
        match &self.input {
            Some(input) => registry.deregister(&mut SourceFd(&input.as_raw_fd())),
            None => Ok(()),
        }
    }
}

/// The terminal passes every key on; as it was when this is dropped.
pub struct Raw {
    before: Option<Termios>,
}

impl Raw {
    pub fn set() -> Self {
        let input = io::stdin();
        let before = isatty(&input).then(|| tcgetattr(&input).ok()).flatten();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(&input, OptionalActions::Now, &raw);
        }
        Self { before }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
