//! Socket files that somebody listens on, and those that a crash left.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Another process listens on `{}`; the VM is already running", .path.display())]
    Live { path: PathBuf },
    #[error("`{}` is in the way of a socket and is not one", .path.display())]
    NotASocket { path: PathBuf },
    #[error("`{}` has {length} bytes; a socket path has at most {LONGEST}", .path.display())]
    TooLong { path: PathBuf, length: usize },
    #[error("The socket `{}` cannot be examined", .path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Live { .. } | Self::NotASocket { .. } => Kind::Busy,
            Self::TooLong { .. } => Kind::Definition,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

/// `sun_path` has 108 bytes, one of them the final zero.
pub const LONGEST: usize = 107;

/// Removes a socket file that nobody listens on; a live one is an error, none is fine.
pub fn remove_stale(path: &Path) -> Result<(), Error> {
    let length = path.as_os_str().len();
    if length > LONGEST {
        return Err(Error::TooLong {
            path: path.to_owned(),
            length,
        });
    }
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let kind = match path.symlink_metadata() {
        Ok(meta) => meta.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if !kind.is_socket() {
        return Err(Error::NotASocket {
            path: path.to_owned(),
        });
    }
    // A process that was killed may be seen to have ended before its sockets have.
    for _ in 0..DYING_TRIES {
        match connect(path, Duration::ZERO) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return std::fs::remove_file(path).map_err(io);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if !is_alive(&error) => return Err(io(error)),
            // Somebody listens, with a full backlog or without.
            _ => std::thread::sleep(DYING_STEP),
        }
    }
    Err(Error::Live {
        path: path.to_owned(),
    })
}

/// A full backlog, or a socket of packets, as crosvm has.
fn is_alive(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::EPROTOTYPE)
}

const DYING_TRIES: u32 = 4;
const DYING_STEP: Duration = Duration::from_millis(50);

/// Connects, and waits for room in a full backlog at most so long: an ordinary connect would
/// wait for ever, and QEMU's backlog is one.
pub fn connect(path: &Path, patience: Duration) -> std::io::Result<UnixStream> {
    const STEP: Duration = Duration::from_millis(20);
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let address = SocketAddrUnix::new(path)?;
    let start = Instant::now();
    while let Err(error) = rustix::net::connect(&socket, &address) {
        if error != rustix::io::Errno::AGAIN || start.elapsed() >= patience {
            return Err(error.into());
        }
        std::thread::sleep(STEP);
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_stale_sockets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        remove_stale(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(matches!(remove_stale(&path), Err(Error::Live { .. })));
        assert!(path.exists());
        drop(listener);
        remove_stale(&path).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "data").unwrap();
        assert!(matches!(remove_stale(&path), Err(Error::NotASocket { .. })));
        assert!(path.exists());
    }

    #[test]
    fn a_socket_of_packets_is_live_or_stale_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let listener =
            rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        assert!(matches!(remove_stale(&path), Err(Error::Live { .. })));
        drop(listener);
        remove_stale(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_full_backlog_is_waited_for_with_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let _waiting = connect(&path, Duration::ZERO).unwrap();
        let error = connect(&path, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(matches!(remove_stale(&path), Err(Error::Live { .. })));
    }

    #[test]
    fn a_long_path_is_refused() {
        let path = PathBuf::from("x".repeat(108));
        let error = remove_stale(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("has 108 bytes; a socket path has at most 107")
        );
        assert_eq!(error.kind(), Kind::Definition);
    }
}
