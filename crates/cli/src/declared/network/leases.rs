//! Fixed leases of a network, each its own.

use std::net::{IpAddr, Ipv4Addr};

use host::network::Lease;
use host::network::cidr::Cidr;

use crate::declared::table::{Problems, Table};

pub fn read(
    table: &Table<'_>,
    addresses: &[Cidr],
    v4: Option<Cidr>,
    problems: &mut Problems,
) -> Vec<Lease> {
    let at = table.at("leases");
    let entries = match table.value("leases") {
        None => return Vec::new(),
        Some(toml::Value::Array(entries)) => entries,
        Some(_) => {
            let said = "accepted is a list of tables with `mac`, `address` and, if wanted, `name`";
            problems.add(&at, said.to_owned());
            return Vec::new();
        }
    };
    let mut leases: Vec<Lease> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let read = Table::of(at.clone(), entry, &["address", "mac", "name"], problems)
            .and_then(|entry| lease(&entry, problems));
        let Some(lease) = read else { continue };
        if let Some(why) = why_not(&lease, addresses, v4, &leases) {
            problems.add(&at, why);
        }
        leases.push(lease);
    }
    leases
}

fn lease(entry: &Table<'_>, problems: &mut Problems) -> Option<Lease> {
    let mac = entry.required("mac", problems);
    let mac = mac.and_then(|text| entry.named("mac", text, problems));
    let address = entry.required("address", problems);
    let address = address.and_then(|text| {
        let address = text.parse::<Ipv4Addr>();
        if address.is_err() {
            let said = format!("`{text}` is no IPv4 address");
            problems.add(&entry.at("address"), said);
        }
        address.ok()
    });
    let name = match entry.text("name", problems) {
        Some(text) => Some(entry.named("name", text, problems)?),
        None => None,
    };
    Some(Lease {
        mac: mac?,
        address: address?,
        name,
    })
}

fn why_not(
    lease: &Lease,
    addresses: &[Cidr],
    v4: Option<Cidr>,
    before: &[Lease],
) -> Option<String> {
    let Lease { mac, address, name } = lease;
    let hosts = v4.and_then(Cidr::hosts);
    if !hosts.is_some_and(|(first, last)| (first..=last).contains(address)) {
        let of = v4.map_or("there is no IPv4 network".to_owned(), |cidr| {
            format!("the network is `{}`", cidr.network())
        });
        return Some(format!("`{address}` is no address for a guest; {of}"));
    }
    if addresses
        .iter()
        .any(|cidr| cidr.address == IpAddr::V4(*address))
    {
        return Some(format!("`{address}` is the host's own"));
    }
    before.iter().find_map(|other| {
        let same_name = name.is_some() && *name == other.name;
        let (what, value) = match () {
            () if other.mac == *mac => ("mac", mac.to_string()),
            () if other.address == *address => ("address", address.to_string()),
            () if same_name => ("name", name.as_ref()?.to_string()),
            () => return None,
        };
        Some(format!("another lease has the {what} `{value}` already"))
    })
}
