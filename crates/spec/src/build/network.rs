//! Interfaces and forwarded ports.

use super::{missing, named, words};
use crate::problem::Problem;
use crate::read::View;
use crate::vm::{Endpoint, ForwardPort, Interface, InterfaceKind};

pub fn interface(interface: View<'_>) -> Result<Interface, Problem> {
    let text = |option: &str| interface.text(option).ok_or_else(|| missing("interfaces"));
    Ok(Interface {
        id: named(text("id")?, "interfaces")?,
        mac: named(text("mac")?, "interfaces")?,
        kind: match text("type")? {
            "tap" => InterfaceKind::Tap {
                vhost: interface.bool("tap.vhost"),
            },
            "macvtap" => InterfaceKind::Macvtap {
                link: text("macvtap.link")?.to_owned(),
                mode: words::word(interface, "macvtap.mode")?,
            },
            "bridge" => InterfaceKind::Bridge {
                bridge: named(text("bridge")?, "interfaces")?,
            },
            _ => InterfaceKind::User,
        },
    })
}

pub fn forward_port(forward: View<'_>) -> Result<ForwardPort, Problem> {
    Ok(ForwardPort {
        from: words::word(forward, "from")?,
        proto: words::word(forward, "proto")?,
        host: endpoint(forward, "host.address", "host.port")?,
        guest: endpoint(forward, "guest.address", "guest.port")?,
    })
}

fn endpoint(forward: View<'_>, address: &str, port: &str) -> Result<Endpoint, Problem> {
    let port = forward
        .unsigned(port)
        .and_then(|port| u16::try_from(port).ok());
    Ok(Endpoint {
        address: forward.text(address).and_then(|text| text.parse().ok()),
        port: port.ok_or_else(|| missing("forwardPorts"))?,
    })
}
