//! How many devices fit, and when they need PCI.

use spec::Vm;
use spec::vm::Arch;

use super::vsock;
use crate::plan::HostFacts;
use crate::refused::Refusal;

/// Since 1.13; without it virtio devices are virtio-mmio.
pub(super) const ENABLE_PCI: &str = "--enable-pci";

/// Slots of the one PCI bus without its bridge (1.17: 31 start, 32 do not).
pub(super) const PCI: usize = 31;

/// Interrupts left for virtio-mmio devices (1.17: 17 start, 18 do not; aarch64 has 96, some of
/// them taken).
fn mmio(arch: Arch) -> usize {
    match arch {
        Arch::X86_64 => 17,
        Arch::Aarch64 => 90,
    }
}

pub(super) fn devices(vm: &Vm) -> usize {
    let store_and_entropy = 2;
    let optional = [
        vm.memory.balloon.is_some(),
        vm.memory.hotplug.is_some(),
        vsock::device(vm).is_some(),
        !vm.credential_files.is_empty(),
    ];
    store_and_entropy
        + vm.volumes.len()
        + vm.interfaces.len()
        + optional.into_iter().filter(|there| *there).count()
}

pub(super) fn needs_pci(vm: &Vm) -> bool {
    devices(vm) > mmio(vm.arch)
}

pub(super) fn has_pci(facts: &HostFacts) -> bool {
    facts.options.contains(ENABLE_PCI)
}

/// For a version without PCI.
pub(super) fn too_many(vm: &Vm) -> Refusal {
    let most = mmio(vm.arch);
    Refusal {
        option: "volumes".to_owned(),
        value: vm.volumes.len().to_string(),
        message: format!(
            "With everything else these are {} devices; this Firecracker has no PCI, which comes \
             with 1.13, and takes {most}",
            devices(vm)
        ),
        able: Vec::new(),
    }
}
