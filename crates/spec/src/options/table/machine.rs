//! Processor, memory, what is booted, devices.

use super::{ARGS, MEM_MAX, TABLES};
use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};
use crate::vm::Hypervisor as H;

const BALLOON: &[H] = &[
    H::Qemu,
    H::CloudHypervisor,
    H::Firecracker,
    H::Crosvm,
    H::Kvmtool,
    H::Stratovirt,
];
const HUGEPAGES: &[H] = &[
    H::Qemu,
    H::CloudHypervisor,
    H::Firecracker,
    H::Crosvm,
    H::Kvmtool,
    H::Stratovirt,
];
const PASSTHROUGH: &[H] = &[
    H::Qemu,
    H::CloudHypervisor,
    H::Crosvm,
    H::Kvmtool,
    H::Stratovirt,
    H::Alioth,
];
const GRAPHICS: &[H] = &[H::Qemu, H::CloudHypervisor, H::Crosvm, H::Vfkit];
const MIB: Type = Type::Int {
    min: 0,
    max: MEM_MAX,
};

pub const OPTIONS: &[Opt] = &[
    opt("hypervisor", Type::OneOf(&H::NAMES), Default::Text("qemu"), "\"cloud-hypervisor\"",
        "The hypervisor that runs the VM. `microvm hypervisors` shows what each can do."),
    opt("vcpu", Type::Int { min: 1, max: 1024 }, Default::Int(1), "2",
        "Number of virtual processors."),
    opt("mem", Type::Int { min: 1, max: MEM_MAX }, Default::Int(512), "1024",
        "Memory in MiB."),
    opt("cpu", Type::Text(Form::Word), Default::Null, "\"max\"",
        "Processor model to emulate in software. Without it the host's own processor is used through KVM.").on(&[H::Qemu]),
    opt("hugepageMem", Type::Bool, Default::Bool(false), "true",
        "Backs the guest's memory with huge pages, which the host must have set aside.").on(HUGEPAGES),
    opt("hotplugMem", MIB, Default::Int(0), "2048",
        "MiB of memory that can be added while the guest runs (virtio-mem).").on(&[H::Qemu, H::CloudHypervisor]),
    opt("hotpluggedMem", MIB, Default::Computed("hotplugMem"), "0",
        "MiB of `hotplugMem` that the guest has from the start.").on(&[H::Qemu, H::CloudHypervisor]),
    opt("balloon", Type::Bool, Default::Bool(false), "true",
        "Adds a balloon, through which the host takes memory back and gives it again.").on(BALLOON),
    opt("initialBalloonMem", MIB, Default::Int(0), "0",
        "MiB that the balloon holds from the start; needs `balloon` and is less than `mem`.").on(&[H::CloudHypervisor, H::Firecracker, H::Crosvm]),
    opt("deflateOnOOM", Type::Bool, Default::Bool(true), "false",
        "Lets the balloon shrink by itself when the guest runs out of memory.").on(BALLOON),
    opt("kernel", Type::Text(Form::HostPath), Default::Computed("cloud, or generic where the VM needs it"), "\"generic\"",
        "`cloud` or `generic` for one of the distribution's kernels, or the path of a kernel image or of a directory with `vmlinuz` and `lib/modules`."),
    opt("initrdPath", Type::Text(Form::HostPath), Default::Computed("built with the guest"), "\"/srv/guest/initrd\"",
        "An initial ramdisk of your own in place of the one that is built."),
    opt("kernelParams", ARGS, Default::List(&[]), "[\"quiet\"]",
        "More parameters for the kernel's command line."),
    opt("devices", TABLES, Default::List(&[]), "[{ bus = \"pci\", path = \"0000:06:00.0\" }]",
        "Devices of the host that are handed to the guest."),
    opt("devices.*.bus", Type::OneOf(&["pci", "usb"]), Default::Required, "\"pci\"",
        "The bus that the device is on.").on(PASSTHROUGH),
    opt("devices.*.path", Type::Text(Form::Word), Default::Required, "\"0000:06:00.0\"",
        "PCI address (`0000:06:00.0`), or for USB the properties of QEMU's `usb-host` (`vendorid=0x1234,productid=0x5678`)."),
    opt("devices.*.qemu.id", Type::Text(Form::Identifier), Default::Null, "\"nic0\"",
        "Name of the device on QEMU's command line.").on(&[H::Qemu]),
    opt("devices.*.qemu.bus", Type::Text(Form::Identifier), Default::Null, "\"root0\"",
        "Bus of the guest that the device is put on, such as one of `qemu.pcieRootPorts`.").on(&[H::Qemu]),
    opt("devices.*.qemu.deviceExtraArgs", Type::Text(Form::Word), Default::Null, "\"x-igd-opregion=on\"",
        "More properties of the device, separated by commas.").on(&[H::Qemu]),
    opt("vsock.cid", Type::Int { min: 3, max: 4_294_967_294 }, Default::Null, "3",
        "Address of the guest on AF_VSOCK; 0 to 2 are reserved, and no two running VMs may share one."),
    opt("graphics.enable", Type::Bool, Default::Bool(false), "true",
        "Gives the guest a display.").on(GRAPHICS),
    opt("graphics.backend", Type::OneOf(&["gtk", "cocoa", "headless"]), Default::Computed("cocoa with vfkit, else gtk"), "\"headless\"",
        "Where the display is shown; `headless` renders without a window.").on(GRAPHICS),
    opt("graphics.socket", Type::Text(Form::SocketPath), Default::Computed("NAME-gpu.sock"), "\"gpu.sock\"",
        "Socket between the hypervisor and the program that draws.").on(GRAPHICS),
    opt("graphics.vulkan", Type::OneOf(&["venus", "drm_native_context"]), Default::Null, "\"venus\"",
        "How the guest reaches the host's graphics processor with Vulkan.").on(&[H::Qemu, H::Crosvm]),
    opt("graphics.hostmem", Type::Text(Form::Bytes), Default::Text("256M"), "\"1G\"",
        "Window through which the guest sees memory of the host's graphics processor.").on(&[H::Qemu]),
    opt("graphics.crosvmPackage", Type::Text(Form::HostPath), Default::Computed("crosvm on PATH"), "\"/opt/crosvm\"",
        "The crosvm that serves the graphics of cloud-hypervisor.").on(&[H::CloudHypervisor]),
];
