//! The few requests about network interfaces that are needed, in the words of rtnetlink(7).

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use std::net::IpAddr;

/// A message to the kernel about one interface.
#[derive(Debug)]
pub struct Request {
    kind: u16,
    flags: u16,
    about: About,
    attributes: Vec<u8>,
}

/// What stands between the message's header and its attributes.
#[derive(Debug)]
enum About {
    /// `struct ifinfomsg` of an interface that an attribute names.
    Link { up: bool },
    /// `struct ifaddrmsg` of an interface by its index.
    Address { of: IpAddr, prefix: u8, index: u32 },
}

const HEADER: usize = 16;

impl Request {
    /// Creates an interface; one of that name must not be there.
    pub fn create() -> Self {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        Self {
            flags,
            ..Self::of_kind(libc::RTM_NEWLINK)
        }
    }

    /// Changes an interface, found by its name attribute.
    pub fn change() -> Self {
        Self::of_kind(libc::RTM_NEWLINK)
    }

    /// Deletes an interface, found by its name attribute.
    pub fn delete() -> Self {
        Self::of_kind(libc::RTM_DELLINK)
    }

    /// Gives an interface an address; one that it has already is fine.
    pub fn add_address(index: u32, address: IpAddr, prefix: u8) -> Self {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let request = Self {
            flags,
            ..Self::of_kind(libc::RTM_NEWADDR)
        };
        request.about_address(index, address, prefix)
    }

    pub fn delete_address(index: u32, address: IpAddr, prefix: u8) -> Self {
        Self::of_kind(libc::RTM_DELADDR).about_address(index, address, prefix)
    }

    fn about_address(self, index: u32, of: IpAddr, prefix: u8) -> Self {
        let bytes = match of {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let about = About::Address { of, prefix, index };
        Self { about, ..self }
            .attribute(libc::IFA_LOCAL, &bytes)
            .attribute(libc::IFA_ADDRESS, &bytes)
    }

    fn of_kind(kind: u16) -> Self {
        Self {
            kind,
            flags: 0,
            about: About::Link { up: false },
            attributes: Vec::new(),
        }
    }

    /// Brings the interface up.
    pub fn up(self) -> Self {
        let about = About::Link { up: true };
        Self { about, ..self }
    }

    pub fn name(self, name: &str) -> Self {
        let bytes = [name.as_bytes(), &[0]].concat();
        self.attribute(libc::IFLA_IFNAME, &bytes)
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.attributes.extend(attribute(kind, value));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let about = self.about.bytes();
        let length = HEADER + about.len() + self.attributes.len();
        let mut bytes = Vec::with_capacity(length);
        let length = length as u32;
        let asked = self.flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(asked.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(about);
        bytes.extend(&self.attributes);
        bytes
    }

    /// Sends it and waits for the kernel's answer.
    pub fn send(&self) -> std::io::Result<()> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&socket, &self.bytes(), SendFlags::empty(), &kernel)?;
        let mut answer = vec![0; 16 * 1024];
        let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
        error_of(&answer[..length])
    }
}

impl About {
    fn bytes(&self) -> Vec<u8> {
        match self {
            // Family, padding, type, index, flags, which flags change.
            Self::Link { up } => {
                let up = if *up { libc::IFF_UP as u32 } else { 0 };
                [[0; 4], [0; 4], up.to_ne_bytes(), up.to_ne_bytes()].concat()
            }
            // Family, length of the prefix, flags, scope, index. A bridge without ports has no
            // carrier, and an IPv6 address would wait for it to be found unique.
            Self::Address { of, prefix, index } => {
                let (family, flags) = match of {
                    IpAddr::V4(_) => (libc::AF_INET, 0),
                    IpAddr::V6(_) => (libc::AF_INET6, libc::IFA_F_NODAD),
                };
                let first = [family as u8, *prefix, flags as u8, 0];
                [first, index.to_ne_bytes()].concat()
            }
        }
    }
}

/// Length, type and value, padded to four bytes.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An acknowledgement is an error message with the number 0.
fn error_of(answer: &[u8]) -> std::io::Result<()> {
    let number = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(std::io::Error::from_raw_os_error(-number)),
        None => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded() {
        let bytes = attribute(3, b"abc\0e");
        assert_eq!(bytes.len(), 12);
        assert_eq!(u16::from_ne_bytes([bytes[0], bytes[1]]), 9);
        assert_eq!(&bytes[4..], b"abc\0e\0\0\0");
    }

    #[test]
    fn the_kernel_answers_for_an_interface_that_is_not_there() {
        let error = Request::delete().name("no-such-if").send().unwrap_err();
        let expected = [libc::ENODEV, libc::EPERM].map(Some);
        assert!(expected.contains(&error.raw_os_error()), "{error}");
    }
}
