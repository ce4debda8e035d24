//! Interfaces and forwarded ports.

use super::{Built, missing, named, words};
use crate::read::View;
use crate::vm::{Endpoint, ForwardPort, Interface, InterfaceKind};

pub fn interface(interface: View<'_>) -> Built<Interface> {
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

pub fn forward_port(forward: View<'_>) -> Built<ForwardPort> {
    Ok(ForwardPort {
        from: words::word(forward, "from")?,
        proto: words::word(forward, "proto")?,
        host: endpoint(forward, "host.address", "host.port")?,
        guest: endpoint(forward, "guest.address", "guest.port")?,
    })
}

fn endpoint(forward: View<'_>, address: &str, port: &str) -> Built<Endpoint> {
    let port = forward
        .unsigned(port)
        .and_then(|port| u16::try_from(port).ok());
    Ok(Endpoint {
        address: forward.text(address).and_then(|text| text.parse().ok()),
        port: port.ok_or_else(|| missing("forwardPorts"))?,
    })
}
