//! What QEMU, or one of its machines, cannot do whatever the host: known before anything is built.

use spec::Vm;
use spec::vm::{Arch, Device, GraphicsBackend, QemuMachine, ShareProto};

use super::devices::CREDENTIAL_PREFIX;
use super::forward;
use super::transport::{Bus, bus, pci_reason, pci_slots};
use crate::refused::{Refusal, limit};

/// VIRTIO_BLK_ID_BYTES; QEMU cuts longer ones off without a word.
const LONGEST_SERIAL: usize = 20;
/// Of virtio-9p.
const LONGEST_MOUNT_TAG: usize = 31;
/// FW_CFG_MAX_FILE_PATH without the closing zero.
const LONGEST_FW_CFG: usize = 55;
/// Size of a huge page, and of what virtio-mem plugs at once.
const HUGE_MIB: u64 = 2;
/// Free slots of the root bus of `q35`, which has the fewest (7.2).
const PCI_SLOTS: usize = 30;

/// Everything of a VM that no QEMU can do, all at once.
pub(crate) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = machine(vm);
    limits.extend(memory(vm));
    limits.extend(names(vm));
    limits.extend(ids(vm));
    limits.extend(graphics(vm));
    limits.extend(forward::limits(vm));
    limits
}

fn machine(vm: &Vm) -> Vec<Refusal> {
    let qemu = &vm.options.qemu;
    let mut limits = Vec::new();
    let (name, wrong) = match (&qemu.machine, vm.arch) {
        (QemuMachine::Microvm, Arch::Aarch64) => ("microvm", true),
        (QemuMachine::Q35, Arch::Aarch64) => ("q35", true),
        (QemuMachine::Virt, Arch::X86_64) => ("virt", true),
        _ => ("", false),
    };
    if wrong {
        let message = match vm.arch {
            Arch::X86_64 => "No machine of x86_64; `microvm` and `q35` are",
            Arch::Aarch64 => "No machine of aarch64; `virt` is",
        };
        limits.push(limit("qemu.machine", name, message));
    }
    if let (QemuMachine::Microvm, Bus::Mmio, Some(reason)) =
        (&qemu.machine, bus(vm), pci_reason(vm))
    {
        let pcie = qemu.machine_opts.as_ref().and_then(|o| o.get("pcie"));
        let value = pcie.map_or("", String::as_str);
        let message = format!("On machine `microvm` {reason} `pcie=on`");
        limits.push(limit("qemu.machineOpts.pcie", value, message));
    }
    if bus(vm) == Bus::Pci && pci_slots(vm) > PCI_SLOTS {
        let message = format!("Too many devices for the machine's bus; {PCI_SLOTS} are possible");
        limits.push(limit("devices", pci_slots(vm), message));
    }
    limits
}

fn memory(vm: &Vm) -> Vec<Refusal> {
    let memory = &vm.memory;
    let mut limits = Vec::new();
    let uneven = |mib: u64| !mib.is_multiple_of(HUGE_MIB);
    if memory.hugepages && uneven(memory.mem_mib) {
        let message = "Memory in huge pages is a multiple of 2 MiB";
        limits.push(limit("mem", memory.mem_mib, message));
    }
    let Some(hotplug) = memory.hotplug else {
        return limits;
    };
    if vm.options.qemu.machine == QemuMachine::Microvm {
        let message = "Machine `microvm` cannot add memory; `qemu.machine = \"q35\"` can, as \
                       `virt` on aarch64";
        limits.push(limit("hotplugMem", hotplug.max_mib, message));
    }
    let sizes = [
        ("hotplugMem", hotplug.max_mib),
        ("hotpluggedMem", hotplug.plugged_mib),
    ];
    let message = "virtio-mem adds memory in multiples of 2 MiB";
    limits.extend(
        sizes
            .into_iter()
            .filter(|(_, mib)| uneven(*mib))
            .map(|(option, mib)| limit(option, mib, message)),
    );
    limits
}

/// Names that the device would cut off or refuse.
fn names(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    for (index, volume) in vm.volumes.iter().enumerate() {
        if let Some(serial) = volume.serial.as_ref().filter(|s| s.len() > LONGEST_SERIAL) {
            let message = format!("A serial number has at most {LONGEST_SERIAL} bytes");
            limits.push(limit(format!("volumes[{index}].serial"), serial, message));
        }
    }
    for (index, share) in vm.shares.iter().enumerate() {
        let is_9p = matches!(share.proto, ShareProto::NineP { .. });
        if is_9p && share.tag.len() > LONGEST_MOUNT_TAG {
            let message = format!("The tag of a 9p share has at most {LONGEST_MOUNT_TAG} bytes");
            limits.push(limit(format!("shares[{index}].tag"), &share.tag, message));
        }
    }
    let most = LONGEST_FW_CFG - CREDENTIAL_PREFIX.len();
    for name in vm.credential_files.keys().filter(|name| name.len() > most) {
        let message = format!("With QEMU the name of a credential has at most {most} bytes");
        limits.push(limit("credentialFiles", name, message));
    }
    limits
}

/// Ids that the user gives to QEMU's devices.
fn ids(vm: &Vm) -> Vec<Refusal> {
    let ports = vm.options.qemu.pcie_root_ports.iter().enumerate();
    let ports = ports.map(|(i, port)| (format!("qemu.pcieRootPorts[{i}].id"), Some(&port.id)));
    let devices = vm.devices.iter().enumerate().map(|(index, device)| {
        let (Device::Pci { qemu, .. } | Device::Usb { qemu, .. }) = device;
        (format!("devices[{index}].qemu.id"), qemu.id.as_ref())
    });
    let message = "An id of QEMU's begins with a letter and goes on with letters, digits, `-`, \
                   `_` or `.`";
    ports
        .chain(devices)
        .filter_map(|(option, id)| Some((option, id?)))
        .filter(|(_, id)| !is_id(id))
        .map(|(option, id)| limit(option, id, message))
        .collect()
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn graphics(vm: &Vm) -> Option<Refusal> {
    let graphics = vm.graphics.as_ref()?;
    let impossible = graphics.backend == GraphicsBackend::Cocoa && graphics.vulkan.is_some();
    impossible.then(|| {
        let message = "Vulkan needs the host's OpenGL, which `cocoa` does not give; `gtk` and \
                       `headless` do";
        limit("graphics.backend", "cocoa", message)
    })
}
