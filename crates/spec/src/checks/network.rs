//! Interfaces and forwarded ports.

use std::net::Ipv4Addr;

use super::unique::Unique;
use crate::problem::{Kind, Problem};
use crate::read::{Definition, View};

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let (mut ids, mut macs) = (Unique::new("an interface"), Unique::new("a MAC address"));
    for (index, interface) in vm.vm.items("interfaces").enumerate() {
        let option = |name: &str| format!("interfaces[{index}].{name}");
        if let Some(id) = interface.text("id") {
            ids.add(id, &option("id"), problems);
        }
        if let Some(mac) = interface.text("mac") {
            macs.add(&mac.to_ascii_lowercase(), &option("mac"), problems);
        }
        problems.extend(of_type(interface, &option));
    }
    forwards(vm, problems);
}

/// Options that belong to another type of interface, and those that are missing for this one.
fn of_type(interface: View<'_>, option: &dyn Fn(&str) -> String) -> Vec<Problem> {
    let Some(kind) = interface.text("type") else {
        return Vec::new();
    };
    let owned = [
        ("bridge", "bridge", interface.is_set("bridge"), true),
        (
            "macvtap",
            "macvtap.link",
            interface.is_set("macvtap.link"),
            true,
        ),
        (
            "macvtap",
            "macvtap.mode",
            interface.is_set("macvtap.mode"),
            true,
        ),
        ("tap", "tap.vhost", interface.bool("tap.vhost"), false),
    ];
    let mut problems = Vec::new();
    for (owner, name, is_set, required) in owned {
        if is_set && kind != owner {
            let message = format!("Means nothing to an interface of type `{kind}`");
            let hint = format!("remove it, or set `type = \"{owner}\"`");
            problems.push(Problem::about(option(name), message).hint(hint));
        }
        if required && !is_set && kind == owner {
            let message = format!("Required for an interface of type `{kind}`, and not given");
            let accepted = crate::options::find(&option(name)).map(|opt| opt.kind.accepted());
            problems.push(Problem {
                accepted,
                ..Problem::about(option(name), message).kind(Kind::Missing)
            });
        }
    }
    problems
}

/// A port of the host that is forwarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostPort<'a> {
    pub index: usize,
    pub proto: &'a str,
    pub port: i64,
    /// `None`: all of them.
    address: Option<Ipv4Addr>,
}

impl HostPort<'_> {
    pub fn overlaps(&self, other: &Self) -> bool {
        let same_address = match (self.address, other.address) {
            (Some(one), Some(another)) => one == another,
            _ => true,
        };
        self.proto == other.proto && self.port == other.port && same_address
    }

    pub fn option(&self) -> String {
        format!("forwardPorts[{}].host.port", self.index)
    }
}

/// The ports of the host that a VM listens on.
pub fn host_ports<'a>(vm: &Definition<'a>) -> Vec<HostPort<'a>> {
    let forwards = vm.vm.items("forwardPorts").enumerate();
    let from_host = forwards.filter(|(_, forward)| forward.text("from") == Some("host"));
    from_host
        .filter_map(|(index, forward)| {
            let address = forward
                .text("host.address")
                .unwrap_or_default()
                .parse()
                .ok();
            Some(HostPort {
                index,
                proto: forward.text("proto")?,
                port: forward.int("host.port")?,
                address: address.filter(|address| *address != Ipv4Addr::UNSPECIFIED),
            })
        })
        .collect()
}

fn forwards(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let forwards = vm.vm.items("forwardPorts");
    let user = vm
        .vm
        .items("interfaces")
        .any(|interface| interface.text("type") == Some("user"));
    if forwards.len() > 0 && !user {
        problems.push(
            Problem::about(
                "forwardPorts",
                "There is no interface of type `user` to forward over",
            )
            .hint("add `[[vm.NAME.interfaces]]` with `type = \"user\"`"),
        );
    }
    let ports = host_ports(vm);
    for (at, port) in ports.iter().enumerate() {
        if let Some(first) = ports[..at].iter().find(|first| first.overlaps(port)) {
            let message = format!(
                "The host's {} port `{}` is forwarded by `{}` already",
                port.proto,
                port.port,
                first.option()
            );
            let problem = Problem::about(port.option(), message).kind(Kind::Duplicate);
            problems.push(problem.value(port.port.to_string()));
        }
    }
}
