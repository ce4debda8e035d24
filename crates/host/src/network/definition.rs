//! A network as it is wanted, checked.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use spec::names::{InterfaceId, MacAddr, VmName};

use super::cidr::Cidr;
use super::pattern::Pattern;

/// A bridge with what serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// The bridge's name too.
    pub name: InterfaceId,
    pub addresses: Vec<Cidr>,
    pub dhcp: Dhcp,
    pub leases: Vec<Lease>,
    pub nat: bool,
    /// Whether guests are told that the host is their way out.
    pub gateway: bool,
    pub router_advertisements: bool,
    pub isolation: bool,
    pub taps: Taps,
    /// VMs whose taps are all for this network.
    pub vms: Vec<VmName>,
}

/// Whether guests are given IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dhcp {
    Off,
    /// Those that are known always the same, others one of `range`.
    On {
        range: Option<Range>,
    },
}

/// Addresses for guests that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
}

/// An address that one guest always has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    pub mac: MacAddr,
    pub address: Ipv4Addr,
    pub name: Option<VmName>,
}

/// Which taps come onto a network without being asked for by its `vms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taps {
    /// Those of all VMs: it is the only network, and says nothing else.
    OfAllVms,
    Matching(Vec<Pattern>),
}

impl Network {
    /// The address that serves IPv4.
    pub fn v4(&self) -> Option<Cidr> {
        self.addresses.iter().copied().find(|cidr| !cidr.is_v6())
    }

    /// Where names are asked for.
    pub fn name_server(&self) -> Option<IpAddr> {
        let first = self.v4().or_else(|| self.addresses.first().copied());
        first.map(|cidr| cidr.address)
    }

    fn takes(&self, tap: &str, exactly: bool) -> bool {
        match &self.taps {
            Taps::OfAllVms => false,
            Taps::Matching(patterns) => patterns
                .iter()
                .any(|pattern| pattern.is_exact() == exactly && pattern.takes(tap)),
        }
    }
}

impl Range {
    /// The last quarter of a network's addresses, where it has a few.
    pub fn default_of(cidr: Cidr) -> Option<Self> {
        let (first, last) = cidr.hosts()?;
        // Of all addresses: the first and the last are not for hosts.
        let quarter = (last.to_bits() - first.to_bits()).div_ceil(4);
        let first = Ipv4Addr::from_bits(last.to_bits() - quarter.checked_sub(2)?);
        Some(Self { first, last })
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

/// The network that a VM's tap is for: the one its VM is told, else the one that names the tap,
/// else the one whose pattern takes it, else the only one there is.
pub fn for_tap<'a>(networks: &'a [Network], vm: Option<&str>, tap: &str) -> Option<&'a Network> {
    let told = networks
        .iter()
        .find(|network| network.vms.iter().any(|name| Some(&**name) == vm));
    let named = || networks.iter().find(|network| network.takes(tap, true));
    let matching = || networks.iter().find(|network| network.takes(tap, false));
    let only = || match networks {
        [only] if only.taps == Taps::OfAllVms => Some(only),
        _ => None,
    };
    told.or_else(named).or_else(matching).or_else(only)
}

#[cfg(test)]
pub(super) fn example(name: &str, addresses: &[&str]) -> Network {
    let addresses: Vec<Cidr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let v4 = addresses.iter().find(|cidr| !cidr.is_v6());
    Network {
        name: name.to_owned().try_into().unwrap(),
        dhcp: v4.map_or(Dhcp::Off, |cidr| Dhcp::On {
            range: Range::default_of(*cidr),
        }),
        leases: Vec::new(),
        nat: true,
        gateway: true,
        router_advertisements: addresses.iter().any(|cidr| cidr.is_v6()),
        isolation: false,
        taps: Taps::OfAllVms,
        vms: Vec::new(),
        addresses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("10.0.0.1/24", Some("10.0.0.192 10.0.0.254"))]
    #[case("10.0.0.1/28", Some("10.0.0.12 10.0.0.14"))]
    #[case("10.0.0.1/29", Some("10.0.0.6 10.0.0.6"))]
    #[case("10.0.0.1/30", None)]
    #[case("10.0.0.1/31", None)]
    fn unknown_guests_get_the_last_quarter(#[case] text: &str, #[case] expected: Option<&str>) {
        let range = Range::default_of(text.parse().unwrap());
        let shown = range.map(|range| format!("{} {}", range.first, range.last));
        assert_eq!(shown.as_deref(), expected);
    }

    #[test]
    fn a_tap_finds_its_network() {
        let pattern = |text: &str| Pattern::try_from(text.to_owned()).unwrap();
        let mut a = example("a", &["10.0.0.1/24"]);
        let found = |networks: &[Network], vm: &str, tap: &str| {
            for_tap(networks, Some(vm), tap).map(|network| network.name.to_string())
        };
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(found(std::slice::from_ref(&a), "web", "vm-web"), is("a"));
        a.taps = Taps::Matching(vec![pattern("vm-*")]);
        let mut b = example("b", &["10.0.1.1/24"]);
        b.taps = Taps::Matching(vec![pattern("vm-db")]);
        b.vms = vec!["told".to_owned().try_into().unwrap()];
        let both = [a, b];
        assert_eq!(found(&both, "web", "vm-web"), is("a"));
        assert_eq!(found(&both, "db", "vm-db"), is("b"));
        assert_eq!(found(&both, "told", "vm-told"), is("b"));
        assert_eq!(found(&both, "web", "other"), None);
    }
}
