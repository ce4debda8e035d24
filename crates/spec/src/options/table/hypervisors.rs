//! What is meant for one hypervisor alone.

use super::{ARGS, TABLES, WORDS};
use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};
use crate::vm::Hypervisor as H;

const PACKAGE: Type = Type::Text(Form::HostPath);
const ON_PATH: Default = Default::Computed("the program on PATH");
const PACKAGE_MEANING: &str = "The hypervisor to run in place of the one on PATH: the program, or a directory with it in `bin/`.";
const ARGS_MEANING: &str = "More arguments for the hypervisor.";

const fn package(name: &'static str, only: &'static [H]) -> Opt {
    opt(
        name,
        PACKAGE,
        ON_PATH,
        "\"/opt/hypervisor\"",
        PACKAGE_MEANING,
    )
    .on(only)
}

const fn extra_args(name: &'static str, only: &'static [H]) -> Opt {
    opt(name, ARGS, Default::List(&[]), "[\"--help\"]", ARGS_MEANING).on(only)
}

pub const OPTIONS: &[Opt] = &[
    opt(
        "qemu.machine",
        Type::Text(Form::Identifier),
        Default::Computed("microvm on x86_64, virt on aarch64"),
        "\"q35\"",
        "Machine type that QEMU emulates.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.machineOpts",
        Type::Map {
            keys: Form::Identifier,
            values: &Type::Text(Form::Line),
        },
        Default::Null,
        "{ accel = \"kvm:tcg\" }",
        "Properties of the machine, in place of the default ones.",
    )
    .on(&[H::Qemu]),
    extra_args("qemu.extraArgs", &[H::Qemu]),
    opt(
        "qemu.serialConsole",
        Type::Bool,
        Default::Bool(true),
        "false",
        "Connects the guest's serial port to the terminal.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.pcieRootPorts",
        TABLES,
        Default::List(&[]),
        "[{ id = \"root0\" }]",
        "PCIe root ports to add, for `devices` to sit on.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.pcieRootPorts.*.id",
        Type::Text(Form::Identifier),
        Default::Required,
        "\"root0\"",
        "Name of the port, for `devices.*.qemu.bus`.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.pcieRootPorts.*.bus",
        Type::Text(Form::Identifier),
        Default::Null,
        "\"pcie.0\"",
        "Bus that the port is on.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.pcieRootPorts.*.chassis",
        Type::Int { min: 0, max: 255 },
        Default::Null,
        "1",
        "Number of the chassis.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.pcieRootPorts.*.slot",
        Type::Text(Form::Identifier),
        Default::Null,
        "\"1\"",
        "Number of the slot in the chassis.",
    )
    .on(&[H::Qemu]),
    opt(
        "qemu.pcieRootPorts.*.addr",
        Type::Text(Form::Identifier),
        Default::Null,
        "\"0x5\"",
        "Place of the port on its bus.",
    )
    .on(&[H::Qemu]),
    package("qemu.package", &[H::Qemu]),
    opt(
        "cloud-hypervisor.platformOEMStrings",
        WORDS,
        Default::List(&[]),
        "[\"io.example:key=value\"]",
        "SMBIOS OEM strings that the guest can read.",
    )
    .on(&[H::CloudHypervisor]),
    extra_args("cloud-hypervisor.extraArgs", &[H::CloudHypervisor]),
    package("cloud-hypervisor.package", &[H::CloudHypervisor]),
    opt(
        "crosvm.pivotRoot",
        Type::Text(Form::AbsolutePath),
        Default::Null,
        "\"/var/empty\"",
        "Empty directory that crosvm's device processes are confined to.",
    )
    .on(&[H::Crosvm]),
    extra_args("crosvm.extraArgs", &[H::Crosvm]),
    package("crosvm.package", &[H::Crosvm]),
    opt(
        "firecracker.cpu",
        Type::Json,
        Default::Null,
        "{ cpuid_modifiers = [] }",
        "CPU template in Firecracker's own format.",
    )
    .on(&[H::Firecracker]),
    opt(
        "firecracker.driveIoEngine",
        Type::OneOf(&["Async", "Sync"]),
        Default::Text("Async"),
        "\"Sync\"",
        "How Firecracker reads and writes disks; `Async` is io_uring.",
    )
    .on(&[H::Firecracker]),
    opt(
        "firecracker.extraConfig",
        Type::Json,
        Default::EmptyTable,
        "{ logger = { level = \"Debug\" } }",
        "Merged into the configuration that Firecracker is started with.",
    )
    .on(&[H::Firecracker]),
    extra_args("firecracker.extraArgs", &[H::Firecracker]),
    package("firecracker.package", &[H::Firecracker]),
    package("kvmtool.package", &[H::Kvmtool]),
    package("stratovirt.package", &[H::Stratovirt]),
    package("alioth.package", &[H::Alioth]),
    opt(
        "vfkit.logLevel",
        Type::OneOf(&["debug", "info", "error"]),
        Default::Text("info"),
        "\"debug\"",
        "How much vfkit says.",
    )
    .or_null()
    .on(&[H::Vfkit]),
    opt(
        "vfkit.rosetta.enable",
        Type::Bool,
        Default::Bool(false),
        "true",
        "Lets an aarch64 guest run x86_64 programs.",
    )
    .on(&[H::Vfkit]),
    opt(
        "vfkit.rosetta.install",
        Type::Bool,
        Default::Bool(false),
        "true",
        "Installs Rosetta on the host where it is missing.",
    )
    .on(&[H::Vfkit]),
    opt(
        "vfkit.rosetta.ignoreIfMissing",
        Type::Bool,
        Default::Bool(false),
        "true",
        "Starts the VM without Rosetta where the host has none.",
    )
    .on(&[H::Vfkit]),
    extra_args("vfkit.extraArgs", &[H::Vfkit]),
    package("vfkit.package", &[H::Vfkit]),
];
