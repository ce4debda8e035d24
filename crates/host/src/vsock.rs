//! Connections to a guest over vsock: through the kernel, or through a hypervisor that speaks
//! vsock itself behind a Unix socket.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, VsockAddr, bind, connect, socket};
use serde::{Deserialize, Serialize};

use crate::relay;
use crate::socket as sockets;

/// Where something listens in a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Kernel {
        cid: u32,
        port: u32,
    },
    /// The socket takes a line `CONNECT PORT` and answers `OK …`.
    Hypervisor {
        socket: PathBuf,
        port: u32,
    },
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Target {
    /// Connects; an error where nothing listens there.
    pub fn connect(&self) -> std::io::Result<OwnedFd> {
        match self {
            Self::Kernel { cid, port } => through_kernel(*cid, *port, None),
            Self::Hypervisor { socket, port } => behind(socket, *port),
        }
    }

    /// Connects from a port that only root can have, where the kernel carries the connection: by it
    /// a guest knows root from others.
    pub fn connect_as_root(&self) -> std::io::Result<OwnedFd> {
        let Self::Kernel { cid, port } = self else {
            return self.connect();
        };
        let mut last = ErrorKind::AddrInUse.into();
        for own in reserved() {
            match through_kernel(*cid, *port, Some(own)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// Joins a connection to standard input and output.
    pub fn relay(&self) -> std::io::Result<()> {
        relay::join(self.connect()?)
    }
}

/// Ports that take CAP_NET_BIND_SERVICE.
const RESERVED: std::ops::Range<u32> = 512..1024;

/// All of them, each time beginning with another one: what the guest still says of a connection
/// that was closed a moment ago would end a new one from the same port.
fn reserved() -> impl Iterator<Item = u32> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed));
    let count = RESERVED.end - RESERVED.start;
    (0..count).map(move |step| RESERVED.start + (first.wrapping_add(step)) % count)
}

fn through_kernel(cid: u32, port: u32, own: Option<u32>) -> std::io::Result<OwnedFd> {
    let family = AddressFamily::Vsock;
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(own) = own {
        bind(fd.as_raw_fd(), &VsockAddr::new(libc::VMADDR_CID_ANY, own))?;
    }
    connect(fd.as_raw_fd(), &VsockAddr::new(cid, port))?;
    Ok(fd)
}

fn behind(socket: &Path, port: u32) -> std::io::Result<OwnedFd> {
    let mut stream = sockets::connect(socket, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // At once: firecracker (1.17) and alioth (0.12) hang up on a request of which only a part is there.
    stream.write_all(format!("CONNECT {port}\n").as_bytes())?;
    let answer = first_line(&mut stream)?;
    stream.set_read_timeout(None)?;
    match answer.starts_with(b"OK ") {
        true => Ok(stream.into()),
        false => Err(std::io::ErrorKind::ConnectionRefused.into()),
    }
}

/// A byte at a time: what follows the line is the guest's.
fn first_line(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    const LONGEST: usize = 64;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST && stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn all_reserved_ports_are_tried_and_none_twice_in_a_row() {
        let first = |mut ports: Vec<u32>| {
            let first = ports[0];
            ports.sort_unstable();
            assert_eq!(ports, RESERVED.collect::<Vec<_>>());
            first
        };
        assert_ne!(first(reserved().collect()), first(reserved().collect()));
    }

    /// A hypervisor with one port, and what a guest says there.
    fn connected(port: u32, answer: &'static [u8]) -> std::io::Result<String> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("vsock");
        let listener = UnixListener::bind(&path)?;
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = first_line(&mut stream).unwrap();
            stream.write_all(answer).unwrap();
            asked
        });
        let target = Target::Hypervisor { socket: path, port };
        let connection = target.connect();
        assert_eq!(
            serving.join().unwrap(),
            format!("CONNECT {port}").into_bytes()
        );
        let mut said = String::new();
        std::fs::File::from(connection?).read_to_string(&mut said)?;
        Ok(said)
    }

    #[test]
    fn a_port_behind_a_hypervisor_is_asked_for_first() {
        let said = connected(22, b"OK 1073741824\nSSH-2.0-x\r\n").unwrap();
        assert_eq!(said, "SSH-2.0-x\r\n");
    }

    #[test]
    fn a_port_where_nobody_listens_is_refused() {
        let error = connected(23, b"").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
