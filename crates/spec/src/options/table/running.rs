//! How a VM is started and known.

use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};
use crate::vm::Hypervisor as H;

pub const OPTIONS: &[Opt] = &[
    opt(
        "socket",
        Type::Text(Form::SocketPath),
        Default::Computed("NAME.sock"),
        "\"web.sock\"",
        "Socket that the VM is controlled through; a relative one is in the state directory.",
    )
    .or_null(),
    opt(
        "user",
        Type::Text(Form::UserName),
        Default::Null,
        "\"microvm\"",
        "User that the hypervisor becomes where it is started by root.",
    )
    .on(&[H::Qemu]),
    opt(
        "preStart",
        Type::Text(Form::Lines),
        Default::Text(""),
        "\"ip link set br0 up\"",
        "Shell commands that run on the host before the hypervisor starts.",
    ),
    opt(
        "extraArgsScript",
        Type::Text(Form::HostPath),
        Default::Null,
        "\"/srv/web/args\"",
        "Program whose output is added to the hypervisor's arguments, split on white space.",
    ),
    opt(
        "prettyProcnames",
        Type::Bool,
        Default::Bool(true),
        "false",
        "Names the processes after the VM.",
    ),
    opt(
        "machineId",
        Type::Text(Form::MachineId),
        Default::Computed("from the VM's name"),
        "\"8e5f7c1a-0a3c-4d0e-9a55-0f3f6f0a7c11\"",
        "Machine identifier of the guest, as 32 hex digits or a UUID.",
    )
    .or_null(),
    opt(
        "registerWithMachined",
        Type::Bool,
        Default::Bool(false),
        "true",
        "Makes the VM known to systemd-machined, so that `machinectl` lists it.",
    ),
    opt(
        "credentialFiles",
        Type::Map {
            keys: Form::CredentialName,
            values: &Type::Text(Form::AbsolutePath),
        },
        Default::EmptyTable,
        "{ \"tls.key\" = \"/run/keys/tls\" }",
        "systemd credentials for the guest: name to file on the host.",
    )
    .on(&[
        H::Qemu,
        H::CloudHypervisor,
        H::Firecracker,
        H::Crosvm,
        H::Kvmtool,
        H::Stratovirt,
        H::Alioth,
    ]),
];
