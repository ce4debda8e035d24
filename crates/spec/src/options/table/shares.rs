//! Shared directories and the daemon that serves them.

use super::{ARGS, TABLES};
use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};
use crate::vm::Hypervisor as H;

const VIRTIOFS: &[H] = &[
    H::Qemu,
    H::CloudHypervisor,
    H::Crosvm,
    H::Stratovirt,
    H::Alioth,
    H::Vfkit,
];
const NINE_P: &[H] = &[H::Qemu, H::Crosvm, H::Kvmtool];

pub const OPTIONS: &[Opt] = &[
    opt(
        "shares",
        TABLES,
        Default::List(&[]),
        "[{ tag = \"src\", source = \"/srv/src\", mountPoint = \"/src\" }]",
        "Directories of the host that the guest mounts.",
    ),
    opt(
        "shares.*.tag",
        Type::Text(Form::Tag),
        Default::Required,
        "\"src\"",
        "Name under which the guest finds the share.",
    ),
    opt(
        "shares.*.source",
        Type::Text(Form::HostPath),
        Default::Required,
        "\"/srv/src\"",
        "Directory on the host; a relative one is in the state directory.",
    ),
    opt(
        "shares.*.mountPoint",
        Type::Text(Form::GuestPath),
        Default::Required,
        "\"/src\"",
        "Where the guest mounts it.",
    ),
    opt(
        "shares.*.proto",
        Type::OneOf(&["9p", "virtiofs"]),
        Default::Text("9p"),
        "\"virtiofs\"",
        "`9p` needs nothing beside the hypervisor; `virtiofs` is faster and has a daemon of its own.",
    ),
    opt(
        "shares.*.readOnly",
        Type::Bool,
        Default::Bool(false),
        "true",
        "The guest cannot write to it.",
    ),
    opt(
        "shares.*.socket",
        Type::Text(Form::SocketPath),
        Default::Computed("NAME-virtiofs-TAG.sock for virtiofs"),
        "\"src.sock\"",
        "Socket of the virtiofs daemon.",
    )
    .or_null()
    .on(VIRTIOFS),
    opt(
        "shares.*.securityModel",
        Type::OneOf(&["passthrough", "none", "mapped", "mapped-file"]),
        Default::Text("none"),
        "\"mapped\"",
        "How 9p keeps owners and modes on the host.",
    )
    .on(NINE_P),
    opt(
        "shares.*.cache",
        Type::OneOf(&["auto", "always", "metadata", "never"]),
        Default::Text("auto"),
        "\"always\"",
        "How long the guest trusts what it has read through virtiofs.",
    )
    .on(VIRTIOFS),
    opt(
        "shares.*.posixAcl",
        Type::Bool,
        Default::Bool(true),
        "false",
        "Passes POSIX access control lists through virtiofs.",
    )
    .on(VIRTIOFS),
    opt(
        "shares.*.extraArgs",
        ARGS,
        Default::List(&[]),
        "[\"--announce-submounts\"]",
        "More arguments for this share's virtiofs daemon.",
    )
    .on(VIRTIOFS),
    opt(
        "virtiofsd.package",
        Type::Text(Form::HostPath),
        Default::Computed("the daemon built in"),
        "\"/usr/libexec/virtiofsd\"",
        "A virtiofsd of your own: the program, or a directory with it in `bin/`.",
    )
    .on(VIRTIOFS),
    opt(
        "virtiofsd.group",
        Type::Text(Form::UserName),
        Default::Text("kvm"),
        "\"users\"",
        "Group that may connect to the daemons' sockets.",
    )
    .or_null()
    .on(VIRTIOFS),
    opt(
        "virtiofsd.threadPoolSize",
        Type::Either(&[Type::Text(Form::Threads), Type::Int { min: 0, max: 4096 }]),
        Default::Text("`nproc`"),
        "4",
        "Threads of each daemon; by default as many as the host has processors.",
    )
    .on(VIRTIOFS),
    opt(
        "virtiofsd.inodeFileHandles",
        Type::OneOf(&["never", "prefer", "mandatory"]),
        Default::Text("prefer"),
        "\"never\"",
        "Whether the daemon remembers files by handle instead of keeping them open.",
    )
    .or_null()
    .on(VIRTIOFS),
    opt(
        "virtiofsd.extraArgs",
        ARGS,
        Default::List(&[]),
        "[\"--log-level=debug\"]",
        "More arguments for every virtiofs daemon.",
    )
    .on(VIRTIOFS),
];
