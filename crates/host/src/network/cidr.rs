//! An address with the length of its prefix, such as `10.0.0.1/24`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address of an interface, and the network that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

/// Why a text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("accepted is an address with its prefix, such as `10.0.0.1/24` or `fd12:3456:789a::1/64`")]
pub struct Invalid;

impl Cidr {
    /// The first address of the network, as a number, and what covers its hosts.
    fn bounds(self) -> (u128, u128) {
        let (number, bits) = number(self.address);
        let hosts = bits - u32::from(self.prefix);
        let mask = if hosts == 128 {
            u128::MAX
        } else {
            (1 << hosts) - 1
        };
        (number & !mask, mask)
    }

    /// `10.0.0.0/24` of `10.0.0.1/24`.
    pub fn network(self) -> Self {
        let first = self.bounds().0;
        let address = match self.address {
            // It came from 32 bits.
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(first as u32)),
            IpAddr::V6(_) => IpAddr::V6(first.into()),
        };
        Self { address, ..self }
    }

    pub fn contains(self, address: IpAddr) -> bool {
        let (first, mask) = self.bounds();
        self.address.is_ipv4() == address.is_ipv4() && number(address).0 & !mask == first
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network().address) || other.contains(self.network().address)
    }

    /// The first and the last address that a guest may have, where that is of IPv4.
    pub fn hosts(self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        if !self.address.is_ipv4() || self.prefix > 30 {
            return None;
        }
        let (first, mask) = self.bounds();
        let (first, mask) = (first as u32, mask as u32);
        let [first, last] = [first + 1, first + mask - 1].map(Ipv4Addr::from_bits);
        Some((first, last))
    }

    pub fn is_v6(self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether it is of the addresses that every site gives itself (RFC 4193, `fc00::/7`).
    pub fn is_unique_local(self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.is_unique_local())
    }
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for Cidr {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (address, prefix) = text.split_once('/').ok_or(Invalid)?;
        let address: IpAddr = address.parse().map_err(|_| Invalid)?;
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().map_err(|_| Invalid)?;
        let most = number(address).1;
        let fits = is_number && (1..=most).contains(&prefix.into());
        fits.then_some(Self { address, prefix }).ok_or(Invalid)
    }
}

impl TryFrom<String> for Cidr {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[rstest::rstest]
    #[case("10.0.0.1/24", "10.0.0.0/24")]
    #[case("10.9.8.7/8", "10.0.0.0/8")]
    #[case("192.168.1.130/25", "192.168.1.128/25")]
    #[case("10.0.0.1/32", "10.0.0.1/32")]
    #[case("fd12:3456:789a::1/64", "fd12:3456:789a::/64")]
    #[case("fd12::1/128", "fd12::1/128")]
    fn networks_of_addresses(#[case] text: &str, #[case] network: &str) {
        assert_eq!(cidr(text).network().to_string(), network);
        assert_eq!(cidr(text).to_string(), text);
    }

    #[rstest::rstest]
    #[case("10.0.0.1")]
    #[case("10.0.0.1/33")]
    #[case("10.0.0.1/0")]
    #[case("10.0.0.1/+8")]
    #[case("10.0.0/24")]
    #[case("fd12::1/129")]
    #[case("/24")]
    #[case("")]
    fn what_is_none(#[case] text: &str) {
        assert_eq!(text.parse::<Cidr>(), Err(Invalid));
    }

    #[rstest::rstest]
    #[case("10.0.0.1/24", "10.0.0.200/25", true)]
    #[case("10.0.0.1/8", "10.200.0.1/24", true)]
    #[case("10.0.0.1/24", "10.0.1.1/24", false)]
    #[case("fd12::1/64", "fd12::2/120", true)]
    #[case("fd12::1/64", "10.0.0.1/8", false)]
    fn which_overlap(#[case] a: &str, #[case] b: &str, #[case] expected: bool) {
        assert_eq!(cidr(a).overlaps(cidr(b)), expected);
        assert_eq!(cidr(b).overlaps(cidr(a)), expected);
    }

    #[test]
    fn hosts_are_neither_network_nor_broadcast() {
        let shown = |text: &str| cidr(text).hosts().map(|(a, b)| format!("{a} {b}"));
        assert_eq!(shown("10.0.0.1/24").unwrap(), "10.0.0.1 10.0.0.254");
        assert_eq!(shown("10.0.0.5/30").unwrap(), "10.0.0.5 10.0.0.6");
        assert_eq!(shown("10.0.0.1/31"), None);
        assert_eq!(shown("fd12::1/64"), None);
    }
}
