//! Asks the agent in the guest, where the hypervisor cannot ask the guest itself.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use backend::control::Agent;

use super::PATIENCE;
use crate::kind::Kind;
use crate::socket;

/// How many answers to earlier clients are passed over.
const MOST_STALE: usize = 64;

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
        Agent::Socket(_) => ask_on_a_port(socket),
        Agent::Vsock { port, .. } => ask_over_vsock(socket, *port),
    };
    match answer {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(Error::Refused { said }),
        Err(source) => Err(failure(socket, source)),
    }
}

/// A port knows no connections: what an earlier client left unread comes first, and what it left
/// unfinished is ended by the first line break.
fn ask_on_a_port(path: &Path) -> std::io::Result<String> {
    let mut stream = connect(path)?;
    say(&mut stream, "\nping")?;
    read_until(&mut stream, |answer| answer == "pong")?;
    say(&mut stream, "poweroff")?;
    read_until(&mut stream, |answer| answer != "pong")
}

fn ask_over_vsock(path: &Path, port: u32) -> std::io::Result<String> {
    let mut stream = connect(path)?;
    say(&mut stream, &format!("CONNECT {port}"))?;
    read(&mut stream)?;
    say(&mut stream, "poweroff")?;
    read(&mut stream)
}

fn connect(path: &Path) -> std::io::Result<BufReader<UnixStream>> {
    let stream = socket::connect(path, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

fn say(stream: &mut BufReader<UnixStream>, line: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{line}\n").as_bytes())
}

fn read_until(
    stream: &mut BufReader<UnixStream>,
    is_it: impl Fn(&str) -> bool,
) -> std::io::Result<String> {
    for _ in 0..MOST_STALE {
        let answer = read(stream)?;
        if is_it(&answer) {
            return Ok(answer);
        }
    }
    Err(ErrorKind::TimedOut.into())
}

fn read(stream: &mut BufReader<UnixStream>) -> std::io::Result<String> {
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
    fn answers_to_earlier_clients_are_passed_over() {
        // At the line break, to `ping`, then to `poweroff`.
        let (_dir, socket) = served(&["error: not yet\npong", "pong", "ok"]);
        power_off(&Agent::Socket(socket)).unwrap();
    }

    #[test]
    fn what_an_agent_refuses_is_told() {
        let (_dir, socket) = served(&["", "pong", "error: no init"]);
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
