//! Tries the host's ports that a VM wants, for a clear message before anything is started.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use spec::vm::{ForwardPort, From, Proto};

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Port {port} of the host ({proto}) is taken by another program")]
    Taken { port: u16, proto: &'static str },
    #[error("Port {port} of the host ({proto}) is not for this user; ports from {first} on are")]
    Privileged {
        port: u16,
        proto: &'static str,
        first: u16,
    },
    #[error("`{address}` is not an address of this host, so its port {port} cannot be forwarded")]
    NoSuchAddress { address: Ipv4Addr, port: u16 },
    #[error("Port {port} of the host ({proto}) cannot be used")]
    Io {
        port: u16,
        proto: &'static str,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Taken { .. } => Kind::Busy,
            Self::Privileged { .. } => Kind::Missing,
            Self::NoSuchAddress { .. } => Kind::Definition,
            Self::Io { .. } => Kind::Other,
        }
    }
}

/// Binds every forwarded port of the host for a moment.
pub fn check(forwards: &[ForwardPort]) -> Result<(), Error> {
    let mut of_host = forwards.iter().filter(|forward| forward.from == From::Host);
    of_host.try_for_each(check_one)
}

fn check_one(forward: &ForwardPort) -> Result<(), Error> {
    let address = forward.host.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let port = forward.host.port;
    let at = SocketAddrV4::new(address, port);
    let (proto, bound) = match forward.proto {
        Proto::Tcp => ("tcp", TcpListener::bind(at).map(drop)),
        Proto::Udp => ("udp", UdpSocket::bind(at).map(drop)),
    };
    bound.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => Error::Taken { port, proto },
        ErrorKind::PermissionDenied => Error::Privileged {
            port,
            proto,
            first: first_unprivileged(),
        },
        ErrorKind::AddrNotAvailable => Error::NoSuchAddress { address, port },
        _ => Error::Io {
            port,
            proto,
            source,
        },
    })
}

fn first_unprivileged() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::vm::Endpoint;

    fn forward(from: From, proto: Proto, address: Ipv4Addr, port: u16) -> ForwardPort {
        ForwardPort {
            from,
            proto,
            host: Endpoint {
                address: Some(address),
                port,
            },
            guest: Endpoint {
                address: None,
                port: 22,
            },
        }
    }

    #[test]
    fn taken_ports_are_named() {
        let local = Ipv4Addr::LOCALHOST;
        let tcp = TcpListener::bind((local, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let error = check(&[forward(From::Host, Proto::Tcp, local, port)]).unwrap_err();
        let expected = format!("Port {port} of the host (tcp) is taken by another program");
        assert_eq!((error.to_string(), error.kind()), (expected, Kind::Busy));
        check(&[forward(From::Guest, Proto::Tcp, local, port)]).unwrap();
        drop(tcp);
        check(&[forward(From::Host, Proto::Tcp, local, port)]).unwrap();
        let udp = UdpSocket::bind((local, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        let error = check(&[forward(From::Host, Proto::Udp, local, port)]).unwrap_err();
        assert!(matches!(error, Error::Taken { proto: "udp", .. }));
    }

    #[test]
    fn foreign_addresses_are_refused() {
        let foreign = Ipv4Addr::new(203, 0, 113, 7);
        let error = check(&[forward(From::Host, Proto::Tcp, foreign, 4022)]).unwrap_err();
        assert_eq!(error.kind(), Kind::Definition);
    }
}
