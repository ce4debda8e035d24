//! Network interfaces, by the ioctls of netdevice(7).

#![expect(unsafe_code, reason = "nix has none of these ioctls")]

use std::io::{Error, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

const SYSFS: &str = "/sys/class/net";
/// ARPHRD_ETHER of linux/if_arp.h
const ETHERNET: &str = "1";

/// An interface by its name.
#[derive(Clone, Debug)]
pub struct Interface {
    name: String,
}

impl Interface {
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }

    /// All that are there, in the order of their names.
    pub fn ethernets() -> Vec<Self> {
        let entries = std::fs::read_dir(SYSFS).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_ethernet = |name: &String| {
            let kind = std::fs::read_to_string(Path::new(SYSFS).join(name).join("type"));
            name != "lo" && kind.is_ok_and(|kind| kind.trim() == ETHERNET)
        };
        let mut names: Vec<String> = names.filter(is_ethernet).collect();
        names.sort();
        names.iter().map(|name| Self::named(name)).collect()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn mac(&self) -> std::io::Result<[u8; 6]> {
        let text = std::fs::read_to_string(Path::new(SYSFS).join(&self.name).join("address"))?;
        let bytes = text
            .trim()
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok());
        let bytes: Option<Vec<u8>> = bytes.collect();
        let mac = bytes.and_then(|bytes| bytes.try_into().ok());
        mac.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    pub fn up(&self) -> std::io::Result<()> {
        let mut request = self.request()?;
        let flags = libc::IFF_UP | libc::IFF_RUNNING;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        control(libc::SIOCSIFFLAGS, &mut request)
    }

    pub fn set_address(&self, address: Ipv4Addr, mask: Ipv4Addr) -> std::io::Result<()> {
        for (ioctl, value) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, mask)] {
            let mut request = self.request()?;
            request.ifr_ifru.ifru_addr = socket_address(value);
            control(ioctl, &mut request)?;
        }
        Ok(())
    }

    pub fn add_default_route(&self, router: Ipv4Addr) -> std::io::Result<()> {
        let mut name = [0; libc::IFNAMSIZ];
        copy(&self.name, &mut name)?;
        // SAFETY: all zero is a valid rtentry.
        let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
        route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_gateway = socket_address(router);
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        route.rt_dev = name.as_mut_ptr();
        match control(libc::SIOCADDRT, &mut route) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    fn request(&self) -> std::io::Result<libc::ifreq> {
        // SAFETY: all zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        copy(&self.name, &mut request.ifr_name)?;
        Ok(request)
    }
}

fn copy(name: &str, to: &mut [libc::c_char; libc::IFNAMSIZ]) -> std::io::Result<()> {
    if name.len() >= to.len() {
        return Err(ErrorKind::InvalidInput.into());
    }
    for (to, byte) in to.iter_mut().zip(name.bytes()) {
        *to = byte as libc::c_char;
    }
    Ok(())
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let internet = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: u32::from(address).to_be(),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the two have the same size, and the kernel reads the first by its family.
    unsafe { std::mem::transmute(internet) }
}

/// `request` is what this ioctl takes.
fn control<T>(ioctl: libc::c_ulong, request: &mut T) -> std::io::Result<()> {
    let socket = any_socket()?;
    // SAFETY: the callers pair each number with the structure that belongs to it, which lives on.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), ioctl as _, request as *mut T) };
    match done {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

fn any_socket() -> std::io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}
