//! Has commands run in a guest by guest-init, over vsock; see [`guest_init::exec`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use guest_init::exec::{self, Command, Kind, Request};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::console::raw::Raw;
use crate::kind;
use crate::vsock::Target;

pub use guest_init::exec::PORT;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The guest takes no commands over vsock")]
    NoAnswer { source: io::Error },
    #[error("The connection to the guest broke")]
    Broken { source: io::Error },
    #[error("The guest ended the connection before the command had ended")]
    Ended,
    #[error("The guest {why}")]
    Refused { why: String },
}

impl Error {
    pub fn kind(&self) -> kind::Kind {
        match self {
            Self::NoAnswer { .. } | Self::Refused { .. } => kind::Kind::NotFound,
            Self::Broken { .. } | Self::Ended => kind::Kind::Hypervisor,
        }
    }
}

fn broken(source: io::Error) -> Error {
    Error::Broken { source }
}

/// Runs a command on this process's standard streams; gives its exit code. `terminal` gives it a
/// terminal of its own, where standard input is one.
pub fn run(target: &Target, words: &[String], terminal: bool) -> Result<u8, Error> {
    let raw = terminal.then(Raw::of_stdin).flatten();
    let request = Request::Command(Command {
        words: words.to_vec(),
        environment: environment(raw.is_some()),
        terminal: terminal.then(|| size().unwrap_or((24, 80))),
    });
    let mut connection = ask(target, &request)?;
    let input = connection.try_clone().map_err(broken)?;
    // Not joined: whoever has nothing more to say may never say so.
    std::thread::spawn(move || pass_on(&mut io::stdin(), input));
    let code = listen(&mut connection, &mut io::stdout(), &mut io::stderr());
    drop(raw);
    code
}

/// Waits, within a bound, until the guest has booted; `false`: its init gave up.
pub fn wait_until_booted(target: &Target, bound: Duration) -> Result<bool, Error> {
    // Who started it may be nobody in particular.
    let connected = target
        .connect()
        .map_err(|source| Error::NoAnswer { source })?;
    let mut connection = say(connected, &Request::Ready)?;
    let timeout = TimeVal::milliseconds(i64::try_from(bound.as_millis()).unwrap_or(i64::MAX));
    setsockopt(&connection, sockopt::ReceiveTimeout, &timeout)
        .map_err(|errno| broken(errno.into()))?;
    let code = listen(&mut connection, &mut io::sink(), &mut io::sink())?;
    Ok(code == 0)
}

/// Lets a key in as a user, until another one takes its place or the guest ends.
pub fn authorize(target: &Target, user: &str, line: &str) -> Result<(), Error> {
    let request = Request::Key {
        user: user.to_owned(),
        line: line.to_owned(),
    };
    let mut connection = ask(target, &request)?;
    listen(&mut connection, &mut io::sink(), &mut io::sink()).map(|_| ())
}

fn ask(target: &Target, request: &Request) -> Result<File, Error> {
    let connected = target
        .connect_as_root()
        .map_err(|source| Error::NoAnswer { source })?;
    say(connected, request)
}

fn say(connected: OwnedFd, request: &Request) -> Result<File, Error> {
    let mut connection = File::from(connected);
    exec::write(&mut connection, Kind::Request, request.render().as_bytes()).map_err(broken)?;
    Ok(connection)
}

fn listen(from: &mut File, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, Error> {
    loop {
        let frame = exec::read(from).map_err(broken)?;
        let (kind, content) = frame.ok_or(Error::Ended)?;
        let written = match kind {
            Kind::Output => out.write_all(&content).and_then(|()| out.flush()),
            Kind::Error => err.write_all(&content).and_then(|()| err.flush()),
            Kind::Exit => return Ok(content.first().copied().unwrap_or(1)),
            Kind::Failure => {
                let why = String::from_utf8_lossy(&content).escape_debug().to_string();
                return Err(Error::Refused { why });
            }
            _ => Ok(()),
        };
        written.map_err(broken)?;
    }
}

fn pass_on(from: &mut impl Read, mut to: File) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return exec::write(&mut to, Kind::End, &[]),
            Ok(length) => exec::write(&mut to, Kind::Input, &buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn environment(terminal: bool) -> Vec<String> {
    let term = std::env::var("TERM").ok().filter(|_| terminal);
    term.map(|term| format!("TERM={term}"))
        .into_iter()
        .collect()
}

/// Rows and columns of the terminal that standard input is.
fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdin().as_fd()).ok()?;
    (size.ws_row > 0).then_some((size.ws_row, size.ws_col))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn said(frames: &[(Kind, &[u8])]) -> (String, Result<u8, Error>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for (kind, content) in frames {
            exec::write(&mut theirs, *kind, content).unwrap();
        }
        drop(theirs);
        let mut out = Vec::new();
        let code = listen(
            &mut File::from(OwnedFd::from(ours)),
            &mut out,
            &mut io::sink(),
        );
        (String::from_utf8(out).unwrap(), code)
    }

    #[test]
    fn what_a_command_says_and_how_it_ends() {
        let frames: [(Kind, &[u8]); 3] = [
            (Kind::Output, b"a"),
            (Kind::Output, b"b"),
            (Kind::Exit, &[7]),
        ];
        let (out, code) = said(&frames);
        assert_eq!((out.as_str(), code.unwrap()), ("ab", 7));
    }

    #[test]
    fn a_guest_that_goes_away_is_no_success() {
        assert!(matches!(said(&[(Kind::Output, b"a")]).1, Err(Error::Ended)));
        let error = said(&[(Kind::Failure, b"cannot\x1b[2J")]).1.unwrap_err();
        assert_eq!(error.to_string(), "The guest cannot\\u{1b}[2J");
    }
}
