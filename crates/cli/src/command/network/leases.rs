//! Who has which address of a network: VMs and fixed leases, then those that were given one of
//! the range.

use std::time::{SystemTime, UNIX_EPOCH};

use host::network::{DOMAIN, Held, Network, Networks};
use serde_json::{Value, json};

use crate::error::Result;

struct Row {
    network: String,
    address: String,
    mac: Option<String>,
    name: Option<String>,
    vm: Option<String>,
    fixed: bool,
    /// Whether the guest has asked for it; and until when, in seconds since 1970.
    held: bool,
    expires: Option<u64>,
}

pub fn print(networks: &Networks, name: Option<&str>, json: bool) -> Result<()> {
    let mut rows = Vec::new();
    for network in super::find(networks, name)? {
        rows.extend(of(networks, &network)?);
    }
    if json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        println!("{:#}", Value::Array(rows));
        return Ok(());
    }
    println!(
        "{:15}  {:15}  {:17}  {:7}  NAME",
        "NETWORK", "ADDRESS", "MAC", "LEASE"
    );
    for row in &rows {
        let mac = row.mac.as_deref().unwrap_or("-");
        let lease = row.lease();
        let name = row.name.as_deref().unwrap_or("-");
        println!(
            "{:15}  {:15}  {mac:17}  {lease:7}  {name}",
            row.network, row.address
        );
    }
    Ok(())
}

fn of(networks: &Networks, network: &Network) -> Result<Vec<Row>> {
    let given = networks.given(&network.name)?;
    let mut held = networks.held(&network.name);
    held.retain(|one| one.expires.is_none_or(|end| end > now()));
    let mut rows = Vec::new();
    for one in given.iter().filter(|one| one.there) {
        let (mac, vm) = (one.mac.to_string(), one.vm.to_string());
        rows.push(fixed(
            network,
            mac,
            one.address.to_string(),
            Some(vm),
            &held,
        ));
    }
    for lease in &network.leases {
        if !rows
            .iter()
            .any(|row| row.mac.as_deref() == Some(&*lease.mac))
        {
            let (mac, address) = (lease.mac.to_string(), lease.address.to_string());
            let mut row = fixed(network, mac, address, None, &held);
            row.name = lease.name.as_ref().map(|name| format!("{name}.{DOMAIN}"));
            rows.push(row);
        }
    }
    let known: Vec<String> = rows.iter().map(|row| row.address.clone()).collect();
    let others = held
        .iter()
        .filter(|one| !known.contains(&one.address.to_string()));
    rows.extend(others.map(|one| Row {
        network: network.name.to_string(),
        address: one.address.to_string(),
        mac: one.mac.clone(),
        name: one.name.clone(),
        vm: None,
        fixed: false,
        held: true,
        expires: one.expires,
    }));
    Ok(rows)
}

fn fixed(
    network: &Network,
    mac: String,
    address: String,
    vm: Option<String>,
    held: &[Held],
) -> Row {
    let asked = held.iter().find(|one| one.address.to_string() == address);
    Row {
        network: network.name.to_string(),
        name: vm.as_ref().map(|vm| format!("{vm}.{DOMAIN}")),
        vm,
        held: asked.is_some(),
        expires: asked.and_then(|one| one.expires),
        mac: Some(mac),
        address,
        fixed: true,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Row {
    fn lease(&self) -> &'static str {
        match (self.fixed, self.held) {
            (true, true) => "fixed",
            (true, false) => "unused",
            (false, _) => "range",
        }
    }

    fn json(&self) -> Value {
        json!({
            "network": self.network,
            "address": self.address,
            "mac": self.mac,
            "name": self.name,
            "vm": self.vm,
            "fixed": self.fixed,
            "held": self.held,
            "expires": self.expires,
        })
    }
}
