//! The verbs in kvmtool's own protocol (2012 to 2024): a type and a length, each of four bytes in
//! the host's order, then so many bytes.
//!
//! Not asked for statistics of memory: lkvm would wait for a guest's answer without a bound, and
//! writes what guests from Linux 6.12 on answer beyond its buffer.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::client::{Client, RunState};
use super::{Error as Failure, PATIENCE};
use crate::kind::Kind;
use crate::process::Process;
use crate::socket;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No VM runs behind `{}`", .socket.display())]
    NotRunning { socket: PathBuf },
    #[error("lkvm gave no answer at `{}` within {} s", .socket.display(), PATIENCE.as_secs())]
    Silent { socket: PathBuf },
    #[error(
        "lkvm says that its guest is in the state {state}, which is neither running (0) nor paused (1)"
    )]
    State { state: u32 },
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
            Self::State { .. } => Kind::Hypervisor,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

const BALLOON: u32 = 1;
const PAUSE: u32 = 4;
const RESUME: u32 = 5;
const STOP: u32 = 6;
const VMSTATE: u32 = 8;

/// lkvm counts a balloon's pages, 256 in a MiB, in an `int`.
const GREATEST_STEP: u32 = 22;

/// The socket of one lkvm. Each request has a connection of its own, for lkvm serves one client
/// at a time, until it is gone.
pub struct Kvmtool {
    socket: PathBuf,
    process: Option<Process>,
    /// Memory that the guest was started with, where it has a balloon.
    balloon_of: Option<u64>,
}

/// `balloon_of` is the memory in MiB of a guest that has a balloon.
pub fn connect(socket: &Path, balloon_of: Option<u64>) -> Result<Kvmtool, Error> {
    let mut kvmtool = Kvmtool {
        socket: socket.to_owned(),
        process: None,
        balloon_of,
    };
    kvmtool.ask(&[])?;
    Ok(kvmtool)
}

impl Kvmtool {
    /// Sends messages that lkvm answers none of, then asks for the state, whose answer says that
    /// all were read.
    fn ask(&mut self, messages: &[Vec<u8>]) -> Result<RunState, Error> {
        let mut request = messages.concat();
        request.extend(message(VMSTATE, &[]));
        match self.exchange(&request) {
            Ok(0) => Ok(RunState::Running),
            Ok(1) => Ok(RunState::Paused),
            Ok(state) => Err(Error::State { state }),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<u32> {
        let mut stream = self.open()?;
        if self.process.is_none() {
            self.process = Process::behind(&stream);
        }
        stream.write_all(request)?;
        let mut answer = [0; 4];
        self.wait(&mut stream, &mut answer)?;
        Ok(u32::from_ne_bytes(answer))
    }

    fn open(&self) -> std::io::Result<UnixStream> {
        let stream = socket::connect(&self.socket, PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// lkvm looks for one client each time that one comes: of two who come while it serves a
    /// third, it leaves one waiting until somebody else comes. So somebody does.
    fn wait(&self, stream: &mut UnixStream, answer: &mut [u8]) -> std::io::Result<()> {
        const STEP: Duration = Duration::from_millis(100);
        stream.set_read_timeout(Some(STEP))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match stream.read_exact(answer) {
                Err(error) if is_timeout(&error) && Instant::now() < deadline => {
                    drop(self.open());
                }
                result => return result,
            }
        }
    }

    fn failure(&self, source: std::io::Error) -> Error {
        let socket = self.socket.clone();
        match source.kind() {
            // It ends while it is asked.
            ErrorKind::NotFound
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Error::NotRunning { socket },
            _ if is_timeout(&source) => Error::Silent { socket },
            _ => Error::Io { socket, source },
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn message(kind: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("messages are short");
    let head = [kind.to_ne_bytes(), length.to_ne_bytes()].concat();
    [head.as_slice(), content].concat()
}

/// Makes a balloon grow by so many MiB, or shrink.
fn grow(mib: i32) -> Vec<u8> {
    message(BALLOON, &mib.to_ne_bytes())
}

/// lkvm knows only by how much a balloon grows, tells no size, and passes over the order to
/// shrink by more than there is. Halving steps empty it, whatever its size was, before it grows
/// to the one that is wanted; the guest looks at the size when all is done.
fn resize(memory: u64, left: u64) -> Vec<Vec<u8>> {
    let greatest = memory.max(1).ilog2().min(GREATEST_STEP);
    let mut messages: Vec<Vec<u8>> = (0..=greatest)
        .rev()
        .map(|step| grow(-(1 << step)))
        .collect();
    let mut missing = memory.saturating_sub(left);
    while missing > 0 {
        let step = missing.min(1 << GREATEST_STEP);
        messages.push(grow(i32::try_from(step).expect("a step is small")));
        missing -= step;
    }
    messages
}

impl Client for Kvmtool {
    fn process(&self) -> Option<Process> {
        self.process.as_ref()?.again()
    }

    fn state(&mut self) -> Result<RunState, Failure> {
        Ok(self.ask(&[])?)
    }

    fn power_down(&mut self) -> Result<(), Failure> {
        let verb = "ask the guest to power off";
        Err(Failure::Unsupported { verb })
    }

    /// Only a guest that runs can be stopped.
    fn quit(&mut self) -> Result<(), Failure> {
        self.ask(&[message(RESUME, &[])])?;
        match self.ask(&[message(STOP, &[])]) {
            Ok(_) | Err(Error::NotRunning { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn pause(&mut self) -> Result<(), Failure> {
        self.ask(&[message(PAUSE, &[])])?;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), Failure> {
        self.ask(&[message(RESUME, &[])])?;
        Ok(())
    }

    fn set_balloon(&mut self, mib: u64) -> Result<(), Failure> {
        let memory = self.balloon_of.ok_or(Failure::NoBalloon)?;
        self.ask(&resize(memory, mib))?;
        Ok(())
    }

    fn balloon(&mut self) -> Result<u64, Failure> {
        let verb = "tell how much memory its guest has given back";
        Err(Failure::Unsupported { verb })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What lkvm does with a balloon's size, in MiB.
    fn applied(mut size: i64, messages: &[Vec<u8>]) -> i64 {
        for message in messages {
            let (head, content) = message.split_at(8);
            assert_eq!(head, [1u32.to_ne_bytes(), 4u32.to_ne_bytes()].concat());
            let by = i64::from(i32::from_ne_bytes(content.try_into().unwrap()));
            if size + by >= 0 {
                size += by;
            }
        }
        size
    }

    #[rstest::rstest]
    fn a_balloon_gets_its_size_whatever_it_was(
        #[values(1, 96, 512, 6_000_000)] memory: u64,
        #[values(0, 1, 255, 511)] was: i64,
        #[values(1, 96, 300, 100_000)] left: u64,
    ) {
        let was = was.min(i64::try_from(memory).unwrap());
        let wanted = i64::try_from(memory.saturating_sub(left)).unwrap();
        assert_eq!(applied(was, &resize(memory, left)), wanted);
    }

    /// Serves as lkvm does: for each client that comes while it waits, the oldest.
    fn lkvm(listener: UnixListener, first: usize) -> std::thread::JoinHandle<Vec<Vec<u8>>> {
        std::thread::spawn(move || {
            let mut waiting: Vec<UnixStream> = Vec::new();
            let mut served = Vec::new();
            for _ in 0..first {
                waiting.push(listener.accept().unwrap().0);
            }
            while served.len() < first {
                let mut said = Vec::new();
                let mut stream = waiting.remove(0);
                let mut head = [0; 8];
                while stream.read_exact(&mut head).is_ok() {
                    said.extend(head);
                    if head[..4] == VMSTATE.to_ne_bytes() {
                        let _ = stream.write_all(&1u32.to_ne_bytes());
                    }
                }
                served.push(said);
                if served.len() < first {
                    waiting.push(listener.accept().unwrap().0);
                }
            }
            served
        })
    }

    #[test]
    fn a_client_that_is_passed_over_calls_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let left_behind = UnixStream::connect(&path).unwrap();
        drop(left_behind);
        let server = lkvm(listener, 2);
        let mut client = Kvmtool {
            socket: path,
            process: None,
            balloon_of: None,
        };
        assert_eq!(client.state().unwrap(), RunState::Paused);
        drop(client);
        let served = server.join().unwrap();
        assert_eq!(served, [Vec::new(), message(VMSTATE, &[])]);
    }

    #[test]
    fn nobody_at_the_socket_is_no_vm() {
        let dir = tempfile::tempdir().unwrap();
        let error = connect(&dir.path().join("none.sock"), None).err().unwrap();
        assert_eq!(error.kind(), Kind::NotFound);
    }
}
