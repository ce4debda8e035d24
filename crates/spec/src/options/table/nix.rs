//! What only the Nix side acts on; taken so that `config.microvm` is a definition.

use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};

const ANY: Type = Type::Anything;

pub const OPTIONS: &[Opt] = &[
    opt(
        "storeDisk",
        Type::Text(Form::AbsolutePath),
        Default::Computed("built with the guest"),
        "\"/nix/store/...-store-disk.erofs\"",
        "The store disk of a guest that was built elsewhere; needs `kernel` and `initrdPath`.",
    ),
    opt(
        "bootDisk",
        Type::Text(Form::AbsolutePath),
        Default::Computed("built with the guest"),
        "\"/nix/store/...-boot.img\"",
        "A disk with a boot loader, made by the Nix side.",
    )
    .nix(),
    opt(
        "binScripts",
        Type::Map {
            keys: Form::Word,
            values: &Type::Text(Form::Lines),
        },
        Default::EmptyTable,
        "{ }",
        "Scripts that the Nix side adds to a runner package.",
    )
    .nix(),
    opt(
        "systemSymlink",
        Type::Bool,
        Default::Computed("not storeOnDisk"),
        "false",
        "Whether the runner package refers to the NixOS system.",
    )
    .nix(),
    opt(
        "optimize.enable",
        Type::Bool,
        Default::Bool(true),
        "false",
        "Makes a NixOS guest smaller and quicker to boot.",
    )
    .nix(),
    opt(
        "vmHostPackages",
        ANY,
        Default::Computed("the guest's"),
        "{ }",
        "Package set that the programs of the host are taken from.",
    )
    .nix(),
    opt(
        "declaredRunner",
        ANY,
        Default::Computed("runner.HYPERVISOR"),
        "\"/nix/store/...-microvm-web\"",
        "The runner package of the hypervisor that was chosen.",
    )
    .nix(),
    opt(
        "runner",
        ANY,
        Default::EmptyTable,
        "{ }",
        "Runner packages of all hypervisors.",
    )
    .nix(),
    opt(
        "deploy.installOnHost",
        ANY,
        Default::Computed("made by the Nix side"),
        "\"/nix/store/...-install\"",
        "Program that installs the VM on a host.",
    )
    .nix(),
    opt(
        "deploy.sshSwitch",
        ANY,
        Default::Null,
        "\"/nix/store/...-switch\"",
        "Program that switches the running guest over SSH.",
    )
    .nix(),
    opt(
        "deploy.rebuild",
        ANY,
        Default::Null,
        "\"/nix/store/...-rebuild\"",
        "Program that does both.",
    )
    .nix(),
];
