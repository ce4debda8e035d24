//! Which address each VM has on a network: worked out from its MAC address, and remembered, so
//! that it stays.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use spec::names::{InterfaceId, MacAddr, VmName};

use super::definition::{Dhcp, Network};

/// An interface of a VM that is for a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    pub vm: VmName,
    pub id: InterfaceId,
    pub mac: MacAddr,
}

/// What an interface was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub mac: MacAddr,
    pub address: Ipv4Addr,
    pub vm: VmName,
    pub id: InterfaceId,
    /// Whether the VM is installed. One that is not may come back.
    pub there: bool,
}

/// No address is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full;

/// Gives each interface its address. Those that are `there` and are not among them, of the VMs
/// that `concerns` names, are there no longer.
pub fn settle(
    network: &Network,
    given: &mut Vec<Given>,
    nics: &[Nic],
    concerns: impl Fn(&VmName) -> bool,
) -> Result<(), Full> {
    if network.dhcp == Dhcp::Off {
        given.clear();
        return Ok(());
    }
    given.retain(|one| is_still_right(network, one));
    for one in given.iter_mut().filter(|one| concerns(&one.vm)) {
        one.there = nics.iter().any(|nic| nic.mac == one.mac);
    }
    for nic in nics {
        give(network, given, nic)?;
    }
    given.sort_by_key(|one| one.address);
    Ok(())
}

/// A network may have got other addresses, or a fixed lease, since.
fn is_still_right(network: &Network, one: &Given) -> bool {
    let fixed = network.leases.iter().find(|lease| lease.mac == one.mac);
    match fixed {
        Some(lease) => lease.address == one.address,
        None => is_inside(network, one.address) && !is_taken(network, one.address),
    }
}

fn is_inside(network: &Network, address: Ipv4Addr) -> bool {
    let hosts = network.v4().and_then(|cidr| cidr.hosts());
    hosts.is_some_and(|(first, last)| (first..=last).contains(&address))
}

/// By the host itself, or by a fixed lease.
fn is_taken(network: &Network, address: Ipv4Addr) -> bool {
    let own = |cidr: &super::cidr::Cidr| cidr.address == IpAddr::V4(address);
    network.addresses.iter().any(own) || network.leases.iter().any(|lease| lease.address == address)
}

fn give(network: &Network, given: &mut Vec<Given>, nic: &Nic) -> Result<(), Full> {
    if let Some(one) = given.iter_mut().find(|one| one.mac == nic.mac) {
        (one.vm, one.id, one.there) = (nic.vm.clone(), nic.id.clone(), true);
        return Ok(());
    }
    let fixed = network.leases.iter().find(|lease| lease.mac == nic.mac);
    let address = match fixed {
        Some(lease) => lease.address,
        None => free(network, given, &nic.mac)?,
    };
    given.push(Given {
        mac: nic.mac.clone(),
        address,
        vm: nic.vm.clone(),
        id: nic.id.clone(),
        there: true,
    });
    Ok(())
}

/// The address that a MAC address leads to, or the next that is free. One is taken from a VM that
/// is no more where no other is left.
fn free(network: &Network, given: &mut Vec<Given>, mac: &MacAddr) -> Result<Ipv4Addr, Full> {
    let pool = pool(network);
    let found = candidates(&pool, mac).find(|address| {
        !is_taken(network, *address) && given.iter().all(|one| one.address != *address)
    });
    if let Some(address) = found {
        return Ok(address);
    }
    let gone = given.iter().position(|one| !one.there).ok_or(Full)?;
    Ok(given.swap_remove(gone).address)
}

/// First and last addresses of what is not for guests that are not known; all where nothing else
/// is left.
fn pool(network: &Network) -> Vec<(u32, u32)> {
    let Some((first, last)) = network.v4().and_then(|cidr| cidr.hosts()) else {
        return Vec::new();
    };
    let (first, last) = (first.to_bits(), last.to_bits());
    let Dhcp::On { range: Some(range) } = network.dhcp else {
        return vec![(first, last)];
    };
    let below = (first, range.first.to_bits() - 1);
    let above = (range.last.to_bits() + 1, last);
    let outside: Vec<_> = [below, above].into_iter().filter(|(a, b)| a <= b).collect();
    let only_own = |(a, b): &(u32, u32)| a == b && is_taken(network, Ipv4Addr::from_bits(*a));
    match outside.iter().all(only_own) {
        true => vec![(first, last)],
        false => outside,
    }
}

fn candidates(pool: &[(u32, u32)], mac: &MacAddr) -> impl Iterator<Item = Ipv4Addr> {
    let sizes = pool.iter().map(|(first, last)| u64::from(last - first) + 1);
    let size: u64 = sizes.sum();
    let start = number(mac).checked_rem(size).unwrap_or(0);
    (0..size).filter_map(move |step| nth(pool, (start + step) % size))
}

fn nth(pool: &[(u32, u32)], mut index: u64) -> Option<Ipv4Addr> {
    for (first, last) in pool {
        let size = u64::from(last - first) + 1;
        if index < size {
            return Some(Ipv4Addr::from_bits(first + index as u32));
        }
        index -= size;
    }
    None
}

fn number(mac: &MacAddr) -> u64 {
    let digits: String = mac.chars().filter(|c| *c != ':').collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::definition::{Lease, Range, example};
    use super::*;

    fn nic(vm: &str, mac: &str) -> Nic {
        Nic {
            vm: vm.to_owned().try_into().unwrap(),
            id: "vm-x".to_owned().try_into().unwrap(),
            mac: mac.to_owned().try_into().unwrap(),
        }
    }

    fn shown(given: &[Given]) -> Vec<String> {
        let of = |one: &Given| format!("{} {} {}", one.vm, one.address, one.there);
        given.iter().map(of).collect()
    }

    #[test]
    fn addresses_follow_from_mac_addresses_and_stay() {
        let network = example("lan", &["10.0.0.1/24"]);
        let (web, db) = (
            nic("web", "02:00:00:00:00:01"),
            nic("db", "02:00:00:00:00:02"),
        );
        let mut given = Vec::new();
        settle(&network, &mut given, &[web.clone(), db.clone()], |_| true).unwrap();
        let first = shown(&given);
        let mut other = Vec::new();
        settle(&network, &mut other, &[db.clone(), web.clone()], |_| true).unwrap();
        assert_eq!(shown(&other), first);
        // One is removed and comes back; meanwhile another wants its place.
        settle(&network, &mut given, std::slice::from_ref(&db), |_| true).unwrap();
        assert_eq!(given.iter().filter(|one| one.there).count(), 1);
        settle(&network, &mut given, &[db, web], |_| true).unwrap();
        assert_eq!(shown(&given), first);
    }

    #[test]
    fn two_that_lead_to_the_same_address_get_two() {
        let network = example("lan", &["10.0.0.1/24"]);
        let nics = [nic("a", "02:00:00:00:00:05"), nic("b", "02:00:00:00:00:c4")];
        let mut given = Vec::new();
        settle(&network, &mut given, &nics, |_| true).unwrap();
        assert_ne!(given[0].address, given[1].address);
        let outside = |one: &Given| one.address < Ipv4Addr::new(10, 0, 0, 192);
        assert!(given.iter().all(outside), "{given:?}");
    }

    #[test]
    fn a_fixed_lease_wins_over_what_was_remembered() {
        let mut network = example("lan", &["10.0.0.1/24"]);
        let web = nic("web", "02:00:00:00:00:01");
        let mut given = Vec::new();
        settle(&network, &mut given, std::slice::from_ref(&web), |_| true).unwrap();
        network.leases = vec![Lease {
            mac: web.mac.clone(),
            address: Ipv4Addr::new(10, 0, 0, 77),
            name: None,
        }];
        settle(&network, &mut given, &[web], |_| true).unwrap();
        assert_eq!(shown(&given), ["web 10.0.0.77 true"]);
    }

    #[test]
    fn only_a_full_network_takes_addresses_of_those_that_are_gone() {
        let mut network = example("lan", &["10.0.0.1/29"]);
        network.dhcp = Dhcp::On { range: None };
        let nics: Vec<Nic> = (0..6)
            .map(|n| nic(&format!("vm{n}"), &format!("02:00:00:00:00:0{n}")))
            .collect();
        let mut given = Vec::new();
        settle(&network, &mut given, &nics[..5], |_| true).unwrap();
        assert_eq!(
            settle(&network, &mut given.clone(), &nics, |_| true),
            Err(Full)
        );
        settle(&network, &mut given, &nics[1..], |_| true).unwrap();
        assert_eq!(given.len(), 5);
        assert!(given.iter().all(|one| one.there && &*one.vm != "vm0"));
    }

    #[test]
    fn a_range_that_leaves_no_room_is_shared() {
        let mut network = example("lan", &["10.0.0.1/29"]);
        let range = Range {
            first: Ipv4Addr::new(10, 0, 0, 2),
            last: Ipv4Addr::new(10, 0, 0, 6),
        };
        network.dhcp = Dhcp::On { range: Some(range) };
        let mut given = Vec::new();
        settle(
            &network,
            &mut given,
            &[nic("a", "02:00:00:00:00:01")],
            |_| true,
        )
        .unwrap();
        assert!(range.contains(given[0].address));
    }
}
