//! What two networks cannot both have: addresses, taps, guests.

use std::collections::BTreeMap;

use host::network::{Network, Taps};

use crate::declared::table::Problems;

pub fn check(networks: &[Network], problems: &mut Problems) {
    for (index, network) in networks.iter().enumerate() {
        for other in &networks[..index] {
            overlaps(network, other, problems);
            same_taps(network, other, problems);
        }
    }
    let mut owners = BTreeMap::new();
    for network in networks {
        for lease in &network.leases {
            if let Some(before) = owners.insert(&lease.mac, &network.name)
                && *before != network.name
            {
                let (at, mac) = (format!("networks.{}.leases", network.name), &lease.mac);
                problems.add(
                    &at,
                    format!("`networks.{before}` has a lease of `{mac}` too"),
                );
            }
        }
    }
}

fn overlaps(network: &Network, other: &Network, problems: &mut Problems) {
    for cidr in &network.addresses {
        let met = other.addresses.iter().find(|met| met.overlaps(*cidr));
        if let Some(met) = met {
            let at = format!("networks.{}.addresses", network.name);
            let name = &other.name;
            problems.add(
                &at,
                format!("`{cidr}` overlaps `{met}` of `networks.{name}`"),
            );
        }
    }
}

fn same_taps(network: &Network, other: &Network, problems: &mut Problems) {
    let (Taps::Matching(own), Taps::Matching(others)) = (&network.taps, &other.taps) else {
        return;
    };
    for pattern in own {
        let met = others
            .iter()
            .find(|met| met.is_exact() == pattern.is_exact() && met.meets(pattern));
        if let Some(met) = met {
            let at = format!("networks.{}.taps", network.name);
            let name = &other.name;
            let said = format!("`{pattern}` and `{met}` of `networks.{name}` take the same taps");
            problems.add(&at, said);
        }
    }
}
