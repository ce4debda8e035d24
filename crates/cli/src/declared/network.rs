//! The networks that a host's configuration declares. All that is wrong with them is told at once.

mod leases;
mod together;

use std::net::{IpAddr, Ipv4Addr};

use host::network::cidr::Cidr;
use host::network::pattern::Pattern;
use host::network::{Dhcp, Network, Range, Taps};
use spec::names::{InterfaceId, VmName};

use super::table::{Problems, Table};

const KEYS: [&str; 8] = [
    "addresses",
    "dhcp",
    "gateway",
    "isolation",
    "leases",
    "nat",
    "routerAdvertisements",
    "taps",
];

/// Words that stand for several interfaces below `/proc/sys/net`, and the one that each host has.
const RESERVED: [&str; 3] = ["all", "default", "lo"];

/// Reads `[networks]`; `vms` has the VMs that name one.
pub fn read(
    tables: &toml::Table,
    vms: &[(VmName, String)],
    problems: &mut Problems,
) -> Vec<Network> {
    let is_only = tables.len() == 1;
    let mut networks: Vec<Network> = tables
        .iter()
        .filter_map(|(name, value)| network(name, value, is_only, problems))
        .collect();
    for (vm, wanted) in vms {
        let found = networks
            .iter_mut()
            .find(|network| *network.name == **wanted);
        match found {
            Some(network) => network.vms.push(vm.clone()),
            // What is wrong with that one is said already.
            None if tables.contains_key(wanted) => {}
            None => {
                let at = format!("vms.{vm}.network");
                let near = spec::options::closest(wanted, tables.keys().map(String::as_str));
                problems.add_near(&at, format!("there is no network `{wanted}`"), near);
            }
        }
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    together::check(&networks, problems);
    networks
}

fn network(
    name: &str,
    value: &toml::Value,
    is_only: bool,
    problems: &mut Problems,
) -> Option<Network> {
    let at = format!("networks.{name}");
    let id = match InterfaceId::try_from(name.to_owned()) {
        Ok(id) if !RESERVED.contains(&name) => Some(id),
        Ok(_) => {
            problems.add(&at, "the kernel uses this name itself".to_owned());
            None
        }
        Err(invalid) => {
            let accepted = invalid.accepted;
            problems.add(
                &at,
                format!("this names no bridge; accepted are {accepted}"),
            );
            None
        }
    };
    let table = Table::of(at, value, &KEYS, problems)?;
    let addresses = addresses(&table, problems);
    let v4 = addresses.iter().copied().find(|cidr| !cidr.is_v6());
    let nat = table.flag("nat", problems).unwrap_or(true);
    let network = Network {
        dhcp: dhcp(&table, v4, problems),
        leases: leases::read(&table, &addresses, v4, problems),
        nat,
        gateway: table.flag("gateway", problems).unwrap_or(nat),
        router_advertisements: router_advertisements(&table, &addresses, problems),
        isolation: table.flag("isolation", problems).unwrap_or(false),
        taps: taps(&table, is_only, problems),
        vms: Vec::new(),
        name: id?,
        addresses,
    };
    Some(network)
}

fn addresses(table: &Table<'_>, problems: &mut Problems) -> Vec<Cidr> {
    let at = table.at("addresses");
    let Some(texts) = table.texts("addresses", problems) else {
        if !table.has("addresses") {
            problems.add(
                &at,
                "a network needs one; accepted is a list such as `[\"10.0.0.1/24\"]`".to_owned(),
            );
        }
        return Vec::new();
    };
    if texts.is_empty() {
        problems.add(&at, "a network needs at least one".to_owned());
    }
    let mut addresses: Vec<Cidr> = Vec::new();
    for text in texts {
        match text.parse::<Cidr>() {
            Err(invalid) => problems.add(&at, format!("`{text}`: {invalid}")),
            Ok(cidr) if !is_a_hosts(cidr) => problems.add(
                &at,
                format!(
                    "`{text}` is no address that a host can have; accepted is one such as `{}`",
                    first(cidr)
                ),
            ),
            Ok(cidr) => match addresses.iter().find(|other| other.overlaps(cidr)) {
                Some(other) => problems.add(&at, format!("`{text}` overlaps `{other}`")),
                None => addresses.push(cidr),
            },
        }
    }
    addresses
}

fn is_a_hosts(cidr: Cidr) -> bool {
    let address = cidr.address;
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return false;
    }
    match (address, cidr.hosts()) {
        (IpAddr::V4(address), Some((first, last))) => (first..=last).contains(&address),
        (IpAddr::V6(address), _) => {
            !address.is_unicast_link_local()
                && (cidr.prefix == 128 || address != cidr.network().address)
        }
        _ => true,
    }
}

/// The first address of the same network, as an example.
fn first(cidr: Cidr) -> Cidr {
    let address = match cidr.network().address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() | 1)),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() | 1).into()),
    };
    Cidr { address, ..cidr }
}

fn dhcp(table: &Table<'_>, v4: Option<Cidr>, problems: &mut Problems) -> Dhcp {
    let at = table.at("dhcp");
    let subnet = v4.filter(|cidr| cidr.hosts().is_some());
    let default = |subnet: Cidr| Dhcp::On {
        range: Range::default_of(subnet),
    };
    let value = table.value("dhcp");
    if !matches!(value, None | Some(toml::Value::Boolean(false))) && subnet.is_none() {
        let why = "needs an IPv4 address with a prefix of at most 30 in `addresses`";
        problems.add(&at, why.to_owned());
        return Dhcp::Off;
    }
    match (value, subnet) {
        (Some(toml::Value::Boolean(false)), _) | (_, None) => Dhcp::Off,
        (None | Some(toml::Value::Boolean(true)), Some(subnet)) => default(subnet),
        (Some(value @ toml::Value::Table(_)), Some(subnet)) => {
            let Some(inner) = Table::of(at, value, &["range"], problems) else {
                return Dhcp::Off;
            };
            match range(&inner, subnet, problems) {
                Some(range) => Dhcp::On { range: Some(range) },
                None => default(subnet),
            }
        }
        (Some(_), Some(_)) => {
            let accepted = "`true`, `false`, and a table such as \
                            `{ range = [\"10.0.0.100\", \"10.0.0.199\"] }`";
            problems.add(&at, format!("accepted are {accepted}"));
            Dhcp::Off
        }
    }
}

fn range(table: &Table<'_>, subnet: Cidr, problems: &mut Problems) -> Option<Range> {
    let at = table.at("range");
    let texts = table.texts("range", problems)?;
    let parsed: Vec<Option<Ipv4Addr>> = texts.iter().map(|text| text.parse().ok()).collect();
    let [Some(first), Some(last)] = parsed[..] else {
        let said = "accepted are the first and the last address of it, such as \
                    `[\"10.0.0.100\", \"10.0.0.199\"]`";
        problems.add(&at, said.to_owned());
        return None;
    };
    let (least, most) = subnet.hosts()?;
    if first > last {
        problems.add(&at, format!("`{first}` comes after `{last}`"));
        return None;
    }
    if first < least || last > most {
        let network = subnet.network();
        problems.add(
            &at,
            format!(
                "`{first}` to `{last}` is not inside `{network}`; accepted is `{least}` to `{most}`"
            ),
        );
        return None;
    }
    Some(Range { first, last })
}

fn router_advertisements(table: &Table<'_>, addresses: &[Cidr], problems: &mut Problems) -> bool {
    let v6: Vec<&Cidr> = addresses.iter().filter(|cidr| cidr.is_v6()).collect();
    let can = !v6.is_empty() && v6.iter().all(|cidr| cidr.prefix == 64);
    let asked = table.flag("routerAdvertisements", problems);
    if asked == Some(true) && !can {
        let said = "guests make addresses of IPv6 only of a prefix of 64 in `addresses`";
        problems.add(&table.at("routerAdvertisements"), said.to_owned());
    }
    asked.unwrap_or(can) && can
}

fn taps(table: &Table<'_>, is_only: bool, problems: &mut Problems) -> Taps {
    if !table.has("taps") && is_only {
        return Taps::OfAllVms;
    }
    let texts = table.texts("taps", problems).unwrap_or_default();
    let mut patterns = Vec::new();
    for text in texts {
        match Pattern::try_from(text.clone()) {
            Ok(pattern) => patterns.push(pattern),
            Err(invalid) => problems.add(&table.at("taps"), format!("`{text}`: {invalid}")),
        }
    }
    Taps::Matching(patterns)
}

#[cfg(test)]
mod tests;
