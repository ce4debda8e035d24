//! Forwarded ports of the user network (slirp).

use std::net::Ipv4Addr;
use std::path::Path;

use spec::Vm;
use spec::vm::{ForwardPort, From, InterfaceKind, Proto};

use super::Context;
use crate::refused::Refusal;

/// Under which slirp lets the guest reach the loopback address of the host.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// How slirp forwards one port.
enum Rule {
    FromHost,
    /// The guest reaches it under [`HOST`] without any rule.
    Loopback,
    /// One program a connection; TCP alone.
    Relay,
}

/// `hostfwd` and `guestfwd` of a VM's forwards.
pub(super) fn rules(context: &Context) -> Vec<(&'static str, String)> {
    let forwards = context.vm.forward_ports.iter();
    forwards
        .filter_map(|forward| match rule(forward)? {
            Rule::FromHost => Some(("hostfwd", host_rule(forward))),
            Rule::Relay => {
                let program = context.facts.relay.as_deref()?;
                Some(("guestfwd", guest_rule(forward, program)))
            }
            Rule::Loopback => None,
        })
        .collect()
}

/// The forwards that need a program started for each connection.
pub(super) fn relayed(vm: &Vm) -> impl Iterator<Item = usize> {
    let forwards = vm.forward_ports.iter().enumerate();
    forwards
        .filter_map(|(index, forward)| matches!(rule(forward), Some(Rule::Relay)).then_some(index))
}

fn rule(forward: &ForwardPort) -> Option<Rule> {
    match forward.from {
        From::Host => Some(Rule::FromHost),
        From::Guest if is_loopback(forward) => Some(Rule::Loopback),
        From::Guest if forward.proto == Proto::Udp => None,
        From::Guest => is_free(forward.guest.address).then_some(Rule::Relay),
    }
}

/// Whether the guest reaches the port at [`HOST`] anyway. Without an address of its own a TCP
/// port is at 10.0.2.4, slirp's default, as existing definitions expect.
fn is_loopback(forward: &ForwardPort) -> bool {
    let at_host = match (forward.guest.address, forward.proto) {
        (Some(address), _) => address == HOST,
        (None, Proto::Udp) => true,
        (None, Proto::Tcp) => false,
    };
    let to_loopback = forward
        .host
        .address
        .is_none_or(|address| address == Ipv4Addr::LOCALHOST);
    at_host && to_loopback && forward.guest.port == forward.host.port
}

fn is_free(address: Option<Ipv4Addr>) -> bool {
    address.is_none_or(|address| {
        let [a, b, c, d] = address.octets();
        [a, b, c] == [10, 0, 2] && (1..255).contains(&d) && ![HOST, NAME_SERVER].contains(&address)
    })
}

fn host_rule(forward: &ForwardPort) -> String {
    format!(
        "{}:{}:{}-{}:{}",
        proto(forward.proto),
        text(forward.host.address),
        forward.host.port,
        text(forward.guest.address),
        forward.guest.port
    )
}

/// QEMU's own `tcp:` target has a single connection for its whole life (7.2), so that a second
/// request of the guest gets no answer; a command is started for each.
fn guest_rule(forward: &ForwardPort, program: &Path) -> String {
    format!(
        "tcp:{}:{}-cmd:{} relay {} {}",
        text(forward.guest.address),
        forward.guest.port,
        quoted(program),
        forward.host.address.unwrap_or(Ipv4Addr::LOCALHOST),
        forward.host.port
    )
}

/// As g_shell_parse_argv() reads it, which splits the command; no shell sees it.
fn quoted(program: &Path) -> String {
    format!("'{}'", program.display().to_string().replace('\'', r"'\''"))
}

fn text(address: Option<Ipv4Addr>) -> String {
    address
        .map(|address| address.to_string())
        .unwrap_or_default()
}

fn proto(proto: Proto) -> &'static str {
    match proto {
        Proto::Tcp => "tcp",
        Proto::Udp => "udp",
    }
}

/// Forwards that slirp cannot do, or that no interface would carry.
pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let is_user = |kind: &InterfaceKind| *kind == InterfaceKind::User;
    let has_user = vm.interfaces.iter().any(|i| is_user(&i.kind));
    let forwards = vm.forward_ports.iter().enumerate();
    forwards
        .filter_map(|(index, forward)| {
            if !has_user {
                let message = "Forwarded ports need an interface of the type `user`";
                let (option, value) = (format!("forwardPorts[{index}]"), host_rule(forward));
                Some(refusal(option, value, message))
            } else if rule(forward).is_none() {
                Some(unreachable(index, forward))
            } else {
                None
            }
        })
        .collect()
}

fn unreachable(index: usize, forward: &ForwardPort) -> Refusal {
    match forward.proto {
        Proto::Udp => refusal(
            format!("forwardPorts[{index}].proto"),
            "udp".to_owned(),
            "From the guest, QEMU's user network takes UDP only to the same port of the host's \
             127.0.0.1, at the guest's address 10.0.2.2",
        ),
        Proto::Tcp => refusal(
            format!("forwardPorts[{index}].guest.address"),
            text(forward.guest.address),
            "Not an address that the user network can answer for; 10.0.2.1 and 10.0.2.4 to \
             10.0.2.254 are, and 10.0.2.2 where both ports are the same and the host's address \
             is 127.0.0.1",
        ),
    }
}

fn refusal(option: String, value: String, message: &str) -> Refusal {
    Refusal {
        option,
        value,
        message: message.to_owned(),
        able: Vec::new(),
    }
}
