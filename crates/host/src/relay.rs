//! Joins stdin and stdout to a TCP connection: what carries a port that a guest was given of the
//! host, one process a connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::AsFd;

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
    join(&stream).map_err(|source| Error::Broken {
        address,
        port,
        source,
    })
}

fn join(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut to_host = stream.try_clone()?;
    let mut from_host = stream.try_clone()?;
    // Not joined: where the remote end closes, nobody waits for the guest's last words.
    std::thread::spawn(move || {
        let _ = pump(&mut input, &mut to_host);
        let _ = to_host.shutdown(Shutdown::Write);
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
