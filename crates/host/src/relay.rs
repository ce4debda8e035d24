//! Joins stdin and stdout to a TCP connection: what carries a port that a guest was given of the
//! host, one process a connection.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Nothing answers at port {port} of `{address}`")]
    Connect {
        address: Ipv4Addr,
        port: u16,
        source: std::io::Error,
    },
    #[error("The connection to port {port} of `{address}` broke")]
    Broken {
        address: Ipv4Addr,
        port: u16,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Connect { .. } => Kind::NotFound,
            Self::Broken { .. } => Kind::Other,
        }
    }
}

/// Copies both ways until the remote end closes.
pub fn run(address: Ipv4Addr, port: u16) -> Result<(), Error> {
    let connected = TcpStream::connect((address, port));
    let stream = connected.map_err(|source| Error::Connect {
        address,
        port,
        source,
    })?;
    let joined = stream.set_nodelay(true).and_then(|()| join(stream.into()));
    joined.map_err(|source| Error::Broken {
        address,
        port,
        source,
    })
}

/// Copies both ways between a socket and standard input and output, until the socket's other end
/// closes.
pub(crate) fn join(socket: OwnedFd) -> std::io::Result<()> {
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut to_host = File::from(socket.try_clone()?);
    let mut from_host = File::from(socket);
    // Not joined: where the remote end closes, nobody waits for the guest's last words.
    std::thread::spawn(move || {
        let _ = pump(&mut input, &mut to_host);
        let _ = rustix::net::shutdown(&to_host, rustix::net::Shutdown::Write);
    });
    pump(&mut from_host, &mut output)
}

fn pump(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
