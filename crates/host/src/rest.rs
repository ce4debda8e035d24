//! Speaks HTTP/1.1 to a hypervisor's REST interface on a Unix socket, with a bound on every wait
//! and on every size. No chunks, no redirects: no hypervisor has them.

mod answer;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kind::Kind;
use crate::process::Process;
use crate::socket;
use answer::{Answer, Parsed};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No VM runs behind `{}`", .socket.display())]
    NotRunning { socket: PathBuf },
    #[error("`{}` gave no answer within {} s; the hypervisor is busy or hangs", .socket.display(), .patience.as_secs())]
    Busy { socket: PathBuf, patience: Duration },
    #[error("The hypervisor ended while it was spoken to")]
    Ended,
    #[error("`{}` does not speak HTTP as it should; it said `{said}`", .socket.display())]
    NotHttp { socket: PathBuf, said: String },
    #[error("The hypervisor refused `{request}` ({status}): {said}")]
    Refused {
        request: String,
        status: u16,
        said: String,
    },
    #[error("`{}` failed", .socket.display())]
    Io {
        socket: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotRunning { .. } => Kind::NotFound,
            Self::Busy { .. } => Kind::Busy,
            Self::Ended | Self::NotHttp { .. } | Self::Refused { .. } => Kind::Hypervisor,
            Self::Io { source, .. } => match Kind::of_io(source) {
                Kind::Missing => Kind::Missing,
                _ => Kind::Other,
            },
        }
    }
}

/// A connection that takes one request after the other.
#[derive(Debug)]
pub struct Rest {
    socket: PathBuf,
    stream: UnixStream,
    patience: Duration,
}

impl Rest {
    /// Each request waits at most `patience` for its answer.
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self, Error> {
        let socket = socket.to_owned();
        match socket::connect(&socket, patience) {
            Ok(stream) => Ok(Self {
                socket,
                stream,
                patience,
            }),
            Err(error) => Err(match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NotRunning { socket },
                ErrorKind::WouldBlock => Error::Busy { socket, patience },
                _ => Error::Io {
                    socket,
                    source: error,
                },
            }),
        }
    }

    /// The hypervisor; `None` where it runs in another PID namespace.
    pub fn process_behind(&self) -> Option<Process> {
        Process::behind(&self.stream)
    }

    pub fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Error> {
        let answer = self.request("GET", path, None)?;
        serde_json::from_slice(&answer.body).map_err(|_| self.not_http(&answer.body))
    }

    pub fn put(&mut self, path: &str, body: Option<&Value>) -> Result<(), Error> {
        self.request("PUT", path, body).map(drop)
    }

    pub fn patch(&mut self, path: &str, body: &Value) -> Result<(), Error> {
        self.request("PATCH", path, Some(body)).map(drop)
    }

    fn request(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.patience;
        let text = text(method, path, body);
        let sent = self
            .stream
            .set_write_timeout(Some(self.patience))
            .and_then(|()| self.stream.write_all(text.as_bytes()));
        sent.map_err(|source| self.failure(source))?;
        let answer = self.answer(deadline)?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(Error::Refused {
            request: format!("{method} {path}"),
            status: answer.status,
            said: answer.message(),
        })
    }

    fn answer(&mut self, deadline: Instant) -> Result<Answer, Error> {
        let mut bytes = Vec::new();
        loop {
            match answer::parse(&bytes) {
                Parsed::Whole(answer) => return Ok(answer),
                Parsed::Wrong => return Err(self.not_http(&bytes)),
                Parsed::Part => self.read(&mut bytes, deadline)?,
            }
        }
    }

    /// Reads what there is; a slow sender is not waited for beyond the deadline.
    fn read(&mut self, bytes: &mut Vec<u8>, deadline: Instant) -> Result<(), Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.failure(ErrorKind::TimedOut.into()));
        }
        let mut piece = [0; 8192];
        let read = self
            .stream
            .set_read_timeout(Some(left))
            .and_then(|()| self.stream.read(&mut piece));
        match read {
            Ok(0) => Err(Error::Ended),
            Ok(count) => {
                bytes.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn not_http(&self, said: &[u8]) -> Error {
        const SHOWN: usize = 200;
        let said = String::from_utf8_lossy(&said[..said.len().min(SHOWN)]);
        Error::NotHttp {
            socket: self.socket.clone(),
            said: said.trim().to_owned(),
        }
    }

    fn failure(&self, source: std::io::Error) -> Error {
        let socket = self.socket.clone();
        match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Busy {
                socket,
                patience: self.patience,
            },
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Error::Ended,
            _ => Error::Io { socket, source },
        }
    }
}

fn text(method: &str, path: &str, body: Option<&Value>) -> String {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n");
    match body {
        None => format!("{head}\r\n"),
        Some(body) => {
            let body = body.to_string();
            let length = body.len();
            format!(
                "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        }
    }
}

#[cfg(test)]
pub mod stand_in;
#[cfg(test)]
mod tests;
