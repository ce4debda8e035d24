//! The few requests about network interfaces that are needed, in the words of rtnetlink(7).

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// A message to the kernel about one interface.
#[derive(Debug)]
pub struct Request {
    kind: u16,
    flags: u16,
    index: i32,
    up: bool,
    attributes: Vec<u8>,
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

    fn of_kind(kind: u16) -> Self {
        Self {
            kind,
            flags: 0,
            index: 0,
            up: false,
            attributes: Vec::new(),
        }
    }

    pub fn up(self) -> Self {
        Self { up: true, ..self }
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
        let up = libc::IFF_UP as u32;
        let flags = if self.up { up } else { 0 };
        let mut bytes = Vec::with_capacity(HEADER * 2 + self.attributes.len());
        let length = (HEADER * 2 + self.attributes.len()) as u32;
        let asked = self.flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(asked.to_ne_bytes());
        bytes.extend([0; 8]);
        // struct ifinfomsg: family, padding, type, index, flags, which flags change.
        bytes.extend([0; 4]);
        bytes.extend(self.index.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
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
