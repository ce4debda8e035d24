//! The networks of a state directory, as the commands see them: which interfaces of VMs are for
//! them, and what lies between them and those that are declared.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use host::fleet::{Fleet, Version};
use host::network::{Attached, Interface, Network, Networks, Nic};
use spec::names::{InterfaceId, VmName};
use spec::vm::InterfaceKind;

use crate::declared::Declared;
use crate::error::{Kind, OrKind, Result};
use crate::package;
use crate::verbs::say;

pub fn of(fleet: &Fleet) -> Result<Networks> {
    let own = std::env::current_exe().or_kind(Kind::Other)?;
    Ok(Networks::new(fleet, Path::new("/"), &own))
}

/// Interfaces of a checked definition that a network can be for.
pub fn interfaces(name: &VmName, vm: &spec::Vm) -> Vec<Interface> {
    let of = |interface: &spec::vm::Interface| {
        let bridge = match &interface.kind {
            InterfaceKind::Tap { .. } => None,
            InterfaceKind::Bridge { bridge } => Some(bridge.clone()),
            InterfaceKind::User | InterfaceKind::Macvtap { .. } => return None,
        };
        let nic = Nic {
            vm: name.clone(),
            id: interface.id.clone(),
            mac: interface.mac.clone(),
        };
        Some(Interface { nic, bridge })
    };
    vm.interfaces.iter().filter_map(of).collect()
}

/// Those of an installed package; of another program's packages no MAC address is known.
fn interfaces_of(name: &VmName, version: &Version) -> Vec<Interface> {
    let runner = package::read(version.path());
    runner.map_or(Vec::new(), |runner| interfaces(name, &runner.vm))
}

/// Gives the VMs that are installed their addresses and names, where there are networks.
pub fn refresh(fleet: &Fleet) -> Result<()> {
    let networks = of(fleet)?;
    if networks.recorded()?.is_empty() {
        return Ok(networks.tidy()?);
    }
    let mut all = Vec::new();
    for name in fleet.names()? {
        if let Ok(member) = fleet.member(&name) {
            all.extend(interfaces_of(&name, member.in_use()));
        }
    }
    Ok(networks.refresh(&all)?)
}

/// Puts the taps of an installed VM, which are up, onto their bridges.
pub fn attach(fleet: &Fleet, name: &VmName) -> Result<()> {
    let member = crate::fleet::member(fleet, name)?;
    let version = member.booted.unwrap_or(member.current);
    let own = interfaces_of(name, &version);
    let listed = std::fs::read_to_string(version.path().join(TAPS)).unwrap_or_default();
    let taps = listed.split_whitespace();
    let taps: Vec<InterfaceId> = taps
        .filter_map(|id| id.to_owned().try_into().ok())
        .collect();
    attach_these(fleet, name, &own, &taps)
}

/// Where a package of either program lists its taps.
const TAPS: &str = "share/microvm/tap-interfaces";

pub fn attach_these(
    fleet: &Fleet,
    name: &VmName,
    own: &[Interface],
    taps: &[InterfaceId],
) -> Result<()> {
    for (tap, network, attached) in of(fleet)?.attach(name, own, taps)? {
        match attached {
            Attached::Now => say(format!("`{tap}` is on the network `{network}`")),
            Attached::Already => {}
            Attached::Elsewhere(bridge) => say(format!(
                "`{tap}` is for the network `{network}`, but on `{bridge}` already, and stays there"
            )),
        }
    }
    Ok(())
}

/// Where a VM is on the host's networks: the first address that it has.
pub fn address(fleet: &Fleet, name: &VmName) -> Option<Ipv4Addr> {
    let networks = of(fleet).ok()?;
    let recorded = networks.recorded().ok()?;
    let given = recorded
        .iter()
        .filter_map(|one| networks.given(&one.name).ok());
    let own = given.flatten().filter(|one| one.there && one.vm == *name);
    own.min_by(|a, b| a.id.cmp(&b.id)).map(|one| one.address)
}

/// One thing to be done.
pub enum Step<'a> {
    Make(&'a Network),
    /// With what differs, one a line.
    Change(&'a Network, Vec<String>),
    /// It is as it is declared, but not there.
    Up(&'a Network),
    /// No longer declared.
    Remove(InterfaceId),
}

impl Step<'_> {
    pub fn name(&self) -> &InterfaceId {
        match self {
            Self::Make(network) | Self::Change(network, _) | Self::Up(network) => &network.name,
            Self::Remove(name) => name,
        }
    }

    pub fn json(&self) -> serde_json::Value {
        let word = match self {
            Self::Make(_) => "network-make",
            Self::Change(..) => "network-change",
            Self::Up(_) => "network-up",
            Self::Remove(_) => "network-remove",
        };
        let difference = match self {
            Self::Change(_, changes) => Some(changes),
            _ => None,
        };
        serde_json::json!({ "name": self.name(), "step": word, "difference": difference })
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Make(network) => {
                let addresses = network.addresses.iter().map(ToString::to_string);
                let addresses: Vec<String> = addresses.collect();
                write!(f, "network {name}: make, with {}", addresses.join(" and "))
            }
            Self::Change(_, changes) => {
                write!(f, "network {name}: change\n  {}", changes.join("\n  "))
            }
            Self::Up(_) => write!(f, "network {name}: bring up"),
            Self::Remove(_) => write!(
                f,
                "network {name}: is no longer declared; remove, with the addresses of its guests"
            ),
        }
    }
}

/// Everything to be done. What goes comes first: another may be to have its addresses.
pub fn plan<'a>(declared: &'a Declared, fleet: &Fleet) -> Result<Vec<Step<'a>>> {
    let networks = of(fleet)?;
    let recorded = networks.recorded()?;
    let is_declared =
        |network: &Network| declared.networks.iter().any(|one| one.name == network.name);
    let gone = recorded.iter().filter(|network| !is_declared(network));
    let gone = gone.map(|network| Step::Remove(network.name.clone()));
    let mut steps: Vec<Step<'a>> = gone.collect();
    for network in &declared.networks {
        match recorded.iter().find(|one| one.name == network.name) {
            None => steps.push(Step::Make(network)),
            Some(before) if before != network => {
                steps.push(Step::Change(network, changes(before, network)));
            }
            Some(_) if !networks.is_up(network) => steps.push(Step::Up(network)),
            Some(_) => {}
        }
    }
    Ok(steps)
}

/// Does one thing. Each is found again by the next command where it was cut off.
pub fn carry_out(step: &Step<'_>, fleet: &Fleet) -> Result<()> {
    let networks = of(fleet)?;
    match step {
        Step::Make(network) | Step::Change(network, _) | Step::Up(network) => {
            networks.record(network)?;
            refresh(fleet)?;
            networks.up(&network.name)?;
            Ok(networks.enable(&network.name, true)?)
        }
        Step::Remove(name) => remove(&networks, name),
    }
}

/// Records those of a NixOS host, whose units bring them up. What runs is put right at once; what is
/// no longer declared goes.
pub fn record(declared: &[Network], fleet: &Fleet) -> Result<()> {
    let networks = of(fleet)?;
    let before = networks.recorded()?;
    let is_declared = |network: &&Network| declared.iter().any(|one| one.name == network.name);
    for gone in before.iter().filter(|network| !is_declared(network)) {
        networks.down(&gone.name)?;
        networks.forget(&gone.name)?;
    }
    for network in declared {
        networks.record(network)?;
    }
    refresh(fleet)?;
    let changed = before.iter().filter(|network| !declared.contains(network));
    let changed =
        changed.filter(|network| is_declared(network) && networks.is_there(&network.name));
    for network in changed {
        networks.up(&network.name)?;
    }
    Ok(())
}

fn remove(networks: &Networks, name: &str) -> Result<()> {
    networks.enable(name, false)?;
    networks.down(name)?;
    Ok(networks.forget(name)?)
}

/// Removes all of them.
pub fn remove_all(fleet: &Fleet) -> Result<()> {
    let networks = of(fleet)?;
    let recorded = networks.recorded()?;
    recorded
        .iter()
        .try_for_each(|network| remove(&networks, &network.name))
}

/// Tells a systemd that has just got its units which of them come up with the host.
pub fn enable_all(fleet: &Fleet) -> Result<()> {
    let networks = of(fleet)?;
    let recorded = networks.recorded()?;
    recorded
        .iter()
        .try_for_each(|network| Ok(networks.enable(&network.name, true)?))
}

/// `nat: true -> false`
fn changes(before: &Network, after: &Network) -> Vec<String> {
    let [before, after] = [before, after].map(|network| {
        let value = serde_json::to_value(network).unwrap_or_default();
        value.as_object().cloned().unwrap_or_default()
    });
    let differs = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    differs
        .map(|(key, value)| {
            let was = before.get(key).map(ToString::to_string).unwrap_or_default();
            format!("{key}: {was} -> {value}")
        })
        .collect()
}
