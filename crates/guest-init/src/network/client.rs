//! One interface's lease: got, set, kept.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};

use super::interface::Interface;
use super::message::{ACK, ASK, DISCOVER, Lease, OFFER, answer, question};

const CLIENT: u16 = 68;
const SERVER: u16 = 67;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Longest wait for an answer, and between attempts.
const ANSWER: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(5);

/// Gets a lease and keeps it, as long as the guest runs; tells of the first one.
pub fn serve(interface: &Interface, first: &Sender<String>) {
    let mut held: Option<Lease> = None;
    loop {
        match ask(interface, held.as_ref()) {
            Ok(lease) => {
                if held.as_ref().map(|held| held.address) != Some(lease.address) {
                    let told = match set(interface, &lease) {
                        Ok(()) => format!("`{}` has {}", interface.name(), lease.address),
                        Err(error) => format!("`{}` has no address: {error}", interface.name()),
                    };
                    let _ = first.send(told);
                }
                let half = u64::from(lease.seconds / 2).max(30);
                held = Some(lease);
                std::thread::sleep(Duration::from_secs(half));
            }
            // The address is kept: a server that is away for a while comes back with it.
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// The same address again, or whichever is offered.
fn ask(interface: &Interface, held: Option<&Lease>) -> std::io::Result<Lease> {
    let socket = open(interface)?;
    let exchange = Exchange {
        socket,
        mac: interface.mac()?,
        host_name: host_name(),
        transaction: transaction(),
    };
    if let Some(held) = held
        && let Ok(lease) = exchange.round(ASK, Some((held.address, None)), ACK)
    {
        return Ok(lease);
    }
    let offer = exchange.round(DISCOVER, None, OFFER)?;
    exchange.round(ASK, Some((offer.address, offer.server)), ACK)
}

struct Exchange {
    socket: UdpSocket,
    mac: [u8; 6],
    host_name: String,
    transaction: u32,
}

impl Exchange {
    /// Asks twice, for a message may be lost.
    fn round(
        &self,
        kind: u8,
        of: Option<(Ipv4Addr, Option<Ipv4Addr>)>,
        wanted: u8,
    ) -> std::io::Result<Lease> {
        let message = question(kind, self.transaction, self.mac, &self.host_name, of);
        for _ in 0..2 {
            self.socket
                .send_to(&message, (Ipv4Addr::BROADCAST, SERVER))?;
            let start = Instant::now();
            while let Some(left) = ANSWER
                .checked_sub(start.elapsed())
                .filter(|left| !left.is_zero())
            {
                let mut bytes = [0; 1500];
                self.socket.set_read_timeout(Some(left))?;
                let Ok(length) = self.socket.recv(&mut bytes) else {
                    break;
                };
                if let Some((kind, lease)) = answer(&bytes[..length], self.transaction, self.mac)
                    && kind == wanted
                {
                    return Ok(lease);
                }
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

/// Several interfaces ask from the same port, each bound to its own.
fn open(interface: &Interface) -> std::io::Result<UdpSocket> {
    let kind = SockType::Datagram;
    let fd = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::Broadcast, &true)?;
    setsockopt(&fd, sockopt::BindToDevice, &interface.name().into())?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, CLIENT))?;
    Ok(UdpSocket::from(fd))
}

fn set(interface: &Interface, lease: &Lease) -> std::io::Result<()> {
    interface.set_address(lease.address, lease.mask)?;
    if let Some(router) = lease.router {
        interface.add_default_route(router)?;
    }
    if lease.dns.is_empty() {
        return Ok(());
    }
    let search = lease
        .domain
        .iter()
        .map(|domain| format!("search {domain}\n"));
    let servers = lease
        .dns
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    // Replaced, not written through: the image may have a link there that leads nowhere.
    let _ = std::fs::remove_file(RESOLV_CONF);
    std::fs::write(RESOLV_CONF, search.chain(servers).collect::<String>())
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Different for each question of each guest.
fn transaction() -> u32 {
    let mut bytes = [0; 4];
    let random = std::fs::File::open("/dev/urandom");
    let _ = random.and_then(|mut random| random.read_exact(&mut bytes));
    u32::from_ne_bytes(bytes)
}
