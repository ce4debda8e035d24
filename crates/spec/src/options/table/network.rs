//! Network interfaces and forwarded ports.

use super::TABLES;
use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};
use crate::vm::Hypervisor as H;

const PORT: Type = Type::Int { min: 1, max: 65535 };
const ADDRESS: Type = Type::Text(Form::Ipv4OrEmpty);

pub const OPTIONS: &[Opt] = &[
    opt(
        "interfaces",
        TABLES,
        Default::List(&[]),
        "[{ type = \"user\", id = \"web0\", mac = \"02:00:00:00:00:01\" }]",
        "Network interfaces of the guest.",
    ),
    opt(
        "interfaces.*.type",
        Type::OneOf(&["user", "tap", "macvtap", "bridge"]),
        Default::Required,
        "\"tap\"",
        "`user` needs no privileges and no set-up; `tap`, `macvtap` and `bridge` connect to the host's network.",
    ),
    opt(
        "interfaces.*.id",
        Type::Text(Form::InterfaceId),
        Default::Required,
        "\"vm-web\"",
        "Name of the interface on the host.",
    ),
    opt(
        "interfaces.*.mac",
        Type::Text(Form::Mac),
        Default::Required,
        "\"02:00:00:00:00:01\"",
        "Address of the interface in the guest.",
    ),
    opt(
        "interfaces.*.tap.vhost",
        Type::Bool,
        Default::Bool(false),
        "true",
        "Moves packets in the host's kernel (vhost-net).",
    )
    .on(&[H::Qemu, H::Crosvm, H::Kvmtool, H::Stratovirt]),
    opt(
        "interfaces.*.macvtap.link",
        Type::Text(Form::InterfaceId),
        Default::RequiredIf("where type is macvtap"),
        "\"eth0\"",
        "Interface of the host that the macvtap is attached to.",
    ),
    opt(
        "interfaces.*.macvtap.mode",
        Type::OneOf(&["private", "vepa", "bridge", "passthru", "source"]),
        Default::RequiredIf("where type is macvtap"),
        "\"bridge\"",
        "Which of the macvtaps on the same link see each other.",
    ),
    opt(
        "interfaces.*.bridge",
        Type::Text(Form::InterfaceId),
        Default::Null,
        "\"br0\"",
        "Bridge of the host that an interface of type `bridge` joins.",
    )
    .on(&[H::Qemu]),
    opt(
        "forwardPorts",
        TABLES,
        Default::List(&[]),
        "[{ host.port = 2222, guest.port = 22 }]",
        "Ports passed between host and guest over an interface of type `user`.",
    )
    .on(&[H::Qemu]),
    opt(
        "forwardPorts.*.from",
        Type::OneOf(&["host", "guest"]),
        Default::Text("host"),
        "\"guest\"",
        "`host`: connections to the host's port reach the guest; `guest`: the other way round.",
    ),
    opt(
        "forwardPorts.*.proto",
        Type::OneOf(&["tcp", "udp"]),
        Default::Text("tcp"),
        "\"udp\"",
        "Protocol of the port.",
    ),
    opt(
        "forwardPorts.*.host.address",
        ADDRESS,
        Default::Text(""),
        "\"127.0.0.1\"",
        "Address of the host; empty for all of them.",
    ),
    opt(
        "forwardPorts.*.host.port",
        PORT,
        Default::Required,
        "2222",
        "Port of the host.",
    ),
    opt(
        "forwardPorts.*.guest.address",
        ADDRESS,
        Default::Text(""),
        "\"10.0.2.15\"",
        "Address in the user network; empty for the guest's own.",
    ),
    opt(
        "forwardPorts.*.guest.port",
        PORT,
        Default::Required,
        "22",
        "Port of the guest.",
    ),
];
