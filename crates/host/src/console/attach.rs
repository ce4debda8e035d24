//! Joins this terminal to the console of a VM that runs.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::raw::Raw;
use crate::kind::Kind;
use crate::socket;

/// `Ctrl-]`, as telnet and virsh have it.
const DETACH: u8 = 0x1d;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No console behind `{}`: the VM does not run here, or has none", .socket.display())]
    NotRunning { socket: PathBuf },
    #[error("The console `{}` may not be used by this user", .socket.display())]
    Denied { socket: PathBuf },
    #[error("The console `{}` failed", .socket.display())]
    Io {
        socket: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotRunning { .. } => Kind::NotFound,
            Self::Denied { .. } => Kind::Missing,
            Self::Io { .. } => Kind::Other,
        }
    }
}

/// How an attachment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// By its own end; the VM goes on.
    Detached,
    /// The VM ended.
    Ended,
}

/// What was said lately, then both ways until `Ctrl-]`, the end of stdin, or the VM's end.
pub fn attach(path: &Path) -> Result<Left, Error> {
    let stream = socket::connect(path, Duration::from_secs(5)).map_err(|source| {
        let socket = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NotRunning { socket },
            ErrorKind::PermissionDenied => Error::Denied { socket },
            _ => Error::Io { socket, source },
        }
    })?;
    let _raw = Raw::of_stdin();
    join(stream).map_err(|source| Error::Io {
        socket: path.to_owned(),
        source,
    })
}

fn join(mut stream: UnixStream) -> std::io::Result<Left> {
    let (stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
    let mut listens = true;
    let mut buffer = [0; 4096];
    loop {
        let mut fds = vec![PollFd::new(&stream, PollFlags::IN)];
        if listens {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [said, typed] = [0, 1].map(|at| fds.get(at).is_some_and(|fd| !fd.revents().is_empty()));
        if said {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(Left::Ended),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Left::Ended),
                Ok(count) => stdout.write_all(&buffer[..count])?,
                Err(error) => return Err(error),
            }
            stdout.flush()?;
        }
        if typed {
            let count = rustix::io::read(&stdin, &mut buffer)?;
            let keys = &buffer[..count];
            let end = keys.iter().position(|key| *key == DETACH);
            stream.write_all(&keys[..end.unwrap_or(count)])?;
            if end.is_some() {
                return Ok(Left::Detached);
            }
            // A script that has said everything still wants to hear.
            listens = count > 0;
        }
    }
}
