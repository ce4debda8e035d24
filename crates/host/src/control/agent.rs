//! Asks the agent in the guest, where the hypervisor cannot ask the guest itself.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use backend::control::Agent;

use super::PATIENCE;
use crate::kind::Kind;
use crate::socket;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No VM runs behind `{}`", .socket.display())]
    NotRunning { socket: PathBuf },
    #[error("The guest's agent behind `{}` gave no answer within {} s; the guest is still booting, has no agent, or hangs", .socket.display(), PATIENCE.as_secs())]
    Silent { socket: PathBuf },
    #[error("The guest's agent refused: {said}")]
    Refused { said: String },
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
            Self::Silent { .. } => Kind::Busy,
            Self::Refused { .. } => Kind::Hypervisor,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

/// Asks the guest to power itself off; returns when it has said that it will.
pub fn power_off(agent: &Agent) -> Result<(), Error> {
    let socket = match agent {
        Agent::Socket(socket) | Agent::Vsock { socket, .. } => socket,
    };
    let answer = match agent {
        Agent::Socket(_) => ask(socket, &[]),
        Agent::Vsock { port, .. } => ask(socket, &[format!("CONNECT {port}")]),
    };
    match answer {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(Error::Refused { said }),
        Err(source) => Err(failure(socket, source)),
    }
}

/// Says the lines of `before`, each answered, then asks; gives the last answer.
fn ask(path: &Path, before: &[String]) -> std::io::Result<String> {
    let stream = socket::connect(path, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    for line in before {
        exchange(&mut stream, line)?;
    }
    // What an earlier client left unanswered comes first; the agent echoes the nonce-free pong.
    exchange(&mut stream, "poweroff")
}

fn exchange(stream: &mut BufReader<UnixStream>, line: &str) -> std::io::Result<String> {
    stream.get_mut().write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    if stream.read_line(&mut answer)? == 0 {
        return Err(ErrorKind::ConnectionReset.into());
    }
    Ok(answer.trim().to_owned())
}

fn failure(socket: &Path, source: std::io::Error) -> Error {
    let socket = socket.to_owned();
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NotRunning { socket },
        // A hypervisor closes the connection where nobody listens in the guest.
        ErrorKind::WouldBlock
        | ErrorKind::TimedOut
        | ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe => Error::Silent { socket },
        _ => Error::Io { socket, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn served(answers: &'static [&'static str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            for answer in answers {
                reader.read_line(&mut String::new()).unwrap();
                let line = format!("{answer}\r\n");
                reader.get_mut().write_all(line.as_bytes()).unwrap();
            }
        });
        (dir, path)
    }

    #[test]
    fn an_agent_behind_vsock_is_connected_first() {
        let (_dir, socket) = served(&["OK 1073741824", "ok"]);
        power_off(&Agent::Vsock { socket, port: 1024 }).unwrap();
    }

    #[test]
    fn what_an_agent_refuses_is_told() {
        let (_dir, socket) = served(&["error: no init"]);
        let error = power_off(&Agent::Socket(socket)).unwrap_err();
        let expected = "The guest's agent refused: error: no init";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn nobody_in_the_guest_is_silence_and_nobody_at_the_socket_is_no_vm() {
        let (dir, socket) = served(&[]);
        let error = power_off(&Agent::Vsock { socket, port: 1024 }).unwrap_err();
        assert!(
            matches!(error, Error::Silent { .. } | Error::NotRunning { .. }),
            "{error}"
        );
        let absent = dir.path().join("none.sock");
        let error = power_off(&Agent::Socket(absent)).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
}
