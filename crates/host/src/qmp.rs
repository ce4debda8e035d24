//! Speaks QMP to a running QEMU, over its control socket, with a bound on every wait.
//!
//! One client fits on such a socket: a second one is kept waiting by QEMU until the first has
//! gone, so a connection is made for one purpose and closed.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backend::qmp::{Command, CommandError, Message, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kind::Kind;
use crate::process::{Process, is_readable};
use crate::socket;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No VM runs behind `{}`", .socket.display())]
    NotRunning { socket: PathBuf },
    #[error("`{}` gave no answer within {} s; another client holds it, or the hypervisor hangs", .socket.display(), .patience.as_secs())]
    Busy { socket: PathBuf, patience: Duration },
    #[error("The hypervisor ended while it was spoken to")]
    Ended,
    #[error("`{}` does not speak QMP; it said `{said}`", .socket.display())]
    NotQmp { socket: PathBuf, said: String },
    #[error(transparent)]
    Refused(#[from] CommandError),
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
            Self::Ended | Self::NotQmp { .. } | Self::Refused(_) => Kind::Hypervisor,
            Self::Io { source, .. } => match Kind::of_io(source) {
                Kind::Missing => Kind::Missing,
                _ => Kind::Other,
            },
        }
    }
}

/// A connection on which commands are accepted.
#[derive(Debug)]
pub struct Qmp {
    socket: PathBuf,
    stream: BufReader<UnixStream>,
    patience: Duration,
    /// Of the hypervisor; `None` where it runs in another PID namespace.
    process: Option<Process>,
    last_id: u64,
}

impl Qmp {
    /// Connects and negotiates; each later command waits at most `patience`.
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self, Error> {
        let socket = socket.to_owned();
        let stream = socket::connect(&socket, patience).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NotRunning {
                socket: socket.clone(),
            },
            ErrorKind::WouldBlock => Error::Busy {
                socket: socket.clone(),
                patience,
            },
            _ => Error::Io {
                socket: socket.clone(),
                source: error,
            },
        })?;
        let process = Process::behind(&stream);
        let timeouts = stream
            .set_read_timeout(Some(patience))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        timeouts.map_err(|source| Error::Io {
            socket: socket.clone(),
            source,
        })?;
        let stream = BufReader::new(stream);
        let mut qmp = Self {
            socket,
            stream,
            patience,
            process,
            last_id: 0,
        };
        qmp.greet()?;
        qmp.execute::<Value>(Command::QmpCapabilities)?;
        Ok(qmp)
    }

    fn greet(&mut self) -> Result<(), Error> {
        match self.message()? {
            Message::Greeting { .. } => Ok(()),
            other => Err(self.not_qmp(&format!("{other:?}"))),
        }
    }

    /// Runs a command and gives what it returns; events are passed over.
    pub fn execute<T: DeserializeOwned>(&mut self, command: Command) -> Result<T, Error> {
        self.last_id += 1;
        let request = Request {
            command,
            id: self.last_id,
        };
        let sent = self
            .stream
            .get_mut()
            .write_all(request.to_line().as_bytes());
        sent.map_err(|source| self.failure(source))?;
        loop {
            match self.message()? {
                // StratoVirt answers the first command without its id (2.5).
                Message::Return { value, id } if id.is_none_or(|id| id == request.id) => {
                    let text = value.to_string();
                    return serde_json::from_value(value).map_err(|_| self.not_qmp(&text));
                }
                Message::Error { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> Result<Message, Error> {
        let line = self.line()?;
        Message::parse(&line).map_err(|_| self.not_qmp(line.trim()))
    }

    fn not_qmp(&self, said: &str) -> Error {
        let (socket, said) = (self.socket.clone(), said.to_owned());
        Error::NotQmp { socket, said }
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(Error::Ended),
            Ok(_) => Ok(line),
            Err(error) => Err(self.failure(error)),
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

    /// The hypervisor's process, looked up anew; `None` where it runs in another PID namespace.
    pub fn process_behind(&self) -> Option<Process> {
        Process::behind(self.stream.get_ref())
    }

    /// Waits until the hypervisor has ended, at most so long; says whether it has.
    pub fn wait_for_end(&mut self, timeout: Duration) -> bool {
        match &self.process {
            Some(process) => process.wait(timeout),
            None => self.wait_for_close(timeout),
        }
    }

    fn wait_for_close(&mut self, timeout: Duration) -> bool {
        let deadline = std::time::Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if !is_readable(self.stream.get_ref(), left) {
                return false;
            }
            if !matches!(self.line(), Ok(_) | Err(Error::Busy { .. })) {
                return true;
            }
        }
    }

    /// Ends the hypervisor without asking it; says whether there was a way to.
    pub fn kill(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.signal(rustix::process::Signal::KILL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backend::qmp::Status;
    use std::os::unix::net::UnixListener;

    const SHORT: Duration = Duration::from_millis(200);

    fn served(answers: &'static [&'static str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut stream = stream;
            for answer in answers {
                let _ = stream.write_all(format!("{answer}\r\n").as_bytes());
                let _ = reader.read_line(&mut String::new());
            }
        });
        (dir, path)
    }

    const GREETING: &str = r#"{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":8},"package":""},"capabilities":[]}}"#;

    #[test]
    fn events_are_passed_over_and_refusals_told() {
        let (_dir, path) = served(&[
            GREETING,
            r#"{"return":{},"id":"1"}"#,
            "{\"timestamp\":{\"seconds\":1,\"microseconds\":2},\"event\":\"RESUME\"}\r\n{\"return\":{\"status\":\"running\",\"running\":true},\"id\":\"2\"}",
            r#"{"error":{"class":"DeviceNotActive","desc":"No balloon device"},"id":"3"}"#,
        ]);
        let mut qmp = Qmp::connect(&path, SHORT).unwrap();
        let status: Status = qmp.execute(Command::QueryStatus).unwrap();
        assert_eq!(status.status, "running");
        let error = qmp
            .execute::<Value>(Command::Balloon { value: 1 })
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "The hypervisor refused: No balloon device"
        );
        let error = qmp.execute::<Value>(Command::Quit).unwrap_err();
        assert!(matches!(error, Error::Ended), "{error}");
    }

    #[test]
    fn an_answer_without_an_id_is_the_commands() {
        let (_dir, path) = served(&[
            r#"{"QMP":{"version":{"qemu":{"micro":1,"minor":0,"major":5},"package":"StratoVirt-2.5.0"},"capabilities":[]}}"#,
            r#"{"return":{}}"#,
            r#"{"return":{"running":true,"singlestep":false,"status":"running"},"id":"2"}"#,
        ]);
        let mut qmp = Qmp::connect(&path, SHORT).unwrap();
        let status: Status = qmp.execute(Command::QueryStatus).unwrap();
        assert!(status.running);
    }

    #[test]
    fn silence_is_a_held_socket() {
        let (_dir, path) = served(&[]);
        let listener_gone = Qmp::connect(&path, SHORT).unwrap_err();
        assert!(matches!(
            listener_gone,
            Error::Ended | Error::NotRunning { .. }
        ));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("held.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        assert_eq!(Qmp::connect(&path, SHORT).unwrap_err().kind(), Kind::Busy);
    }

    #[test]
    fn other_protocols_are_refused() {
        let (_dir, path) = served(&["SSH-2.0-OpenSSH"]);
        let error = Qmp::connect(&path, SHORT).unwrap_err();
        assert!(
            error.to_string().contains("it said `SSH-2.0-OpenSSH`"),
            "{error}"
        );
        let absent = Qmp::connect(Path::new("/nonexistent/q.sock"), SHORT).unwrap_err();
        assert_eq!(absent.kind(), Kind::NotFound);
    }
}
