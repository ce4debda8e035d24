//! Chooses between virtio-mmio and PCI, by what the VM needs.

use std::fmt;

use spec::Vm;
use spec::vm::{InterfaceKind, QemuMachine};

use crate::args::Opts;

/// How virtio devices are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bus {
    Mmio,
    Pci,
}

/// Transports of machine `microvm` with its second IOAPIC, which ACPI gives it (QEMU 7.2: 24
/// devices start, 25 do not).
const MMIO_SLOTS: usize = 24;

/// Why machine `microvm` cannot do without PCI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PciReason {
    Passthrough,
    Graphics,
    RootPorts,
    ManyDevices,
}

impl fmt::Display for PciReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passthrough => "passed-through devices need",
            Self::Graphics => "graphics need",
            Self::RootPorts => "PCIe root ports need",
            Self::ManyDevices => "more than 24 devices need",
        })
    }
}

/// The bus of a VM's virtio devices.
pub(super) fn bus(vm: &Vm) -> Bus {
    let wants_pci = match (&vm.options.qemu.machine, &vm.options.qemu.machine_opts) {
        (QemuMachine::Microvm, Some(options)) => {
            options.get("pcie").is_some_and(|pcie| pcie == "on")
        }
        (QemuMachine::Microvm, None) => pci_reason(vm).is_some() || wants_queues(vm),
        _ => true,
    };
    if wants_pci { Bus::Pci } else { Bus::Mmio }
}

/// What of a VM works only with PCI, on any machine.
pub(super) fn pci_reason(vm: &Vm) -> Option<PciReason> {
    if !vm.devices.is_empty() {
        Some(PciReason::Passthrough)
    } else if vm.graphics.is_some() {
        Some(PciReason::Graphics)
    } else if !vm.options.qemu.pcie_root_ports.is_empty() {
        Some(PciReason::RootPorts)
    } else if virtio_devices(vm) > MMIO_SLOTS {
        Some(PciReason::ManyDevices)
    } else {
        None
    }
}

/// Whether an interface can spread over several processors, which virtio-mmio with its single
/// interrupt cannot.
fn wants_queues(vm: &Vm) -> bool {
    vm.vcpu.get() > 1
        && vm.interfaces.iter().any(|interface| {
            matches!(
                interface.kind,
                InterfaceKind::Tap { .. } | InterfaceKind::Macvtap { .. }
            )
        })
}

/// How many virtio devices a VM has.
fn virtio_devices(vm: &Vm) -> usize {
    let rng_and_root = 2;
    let optional = [
        vm.memory.balloon.is_some(),
        vm.memory.hotplug.is_some(),
        vm.vsock.is_some(),
    ];
    rng_and_root
        + vm.volumes.len()
        + vm.shares.len()
        + vm.interfaces.len()
        + optional.into_iter().filter(|there| *there).count()
}

/// How many slots of the root bus a VM takes with PCI.
pub(super) fn pci_slots(vm: &Vm) -> usize {
    let graphics_and_usb = 2;
    virtio_devices(vm)
        + vm.options.qemu.pcie_root_ports.len()
        + vm.devices.len()
        + usize::from(vm.graphics.is_some()) * graphics_and_usb
}

impl Bus {
    /// A virtio device by its name without transport: `virtio-blk`, `vhost-vsock`.
    pub fn device(self, name: &str) -> Opts {
        match self {
            Self::Mmio => Opts::new(format!("{name}-device")),
            // The legacy half of a transitional device needs I/O ports, which machine `microvm`
            // has none of for PCI.
            Self::Pci if name.starts_with("virtio-") => {
                Opts::new(format!("{name}-pci")).set("disable-legacy", "on")
            }
            Self::Pci => Opts::new(format!("{name}-pci")),
        }
    }
}

/// Queue pairs of a tap or macvtap interface.
pub(super) fn queues(vm: &Vm) -> u32 {
    // MAX_TAP_QUEUES of Linux.
    const MOST: u32 = 256;
    match bus(vm) {
        Bus::Pci => vm.vcpu.get().min(MOST),
        Bus::Mmio => 1,
    }
}
