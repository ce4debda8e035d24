//! What alioth cannot do beyond the table.

use spec::Vm;
use spec::vm::{Device, RootShare, StoreKind};

use crate::plan::Input;
use crate::refused::{Reason, Refusal};

/// Devices on its only bus; the host bridge has the first of 32 places. One more would panic
/// (0.12).
const PCI_SLOTS: usize = 31;

pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let slots = pci_slots(vm);
    let too_many = (slots > PCI_SLOTS).then(|| Refusal {
        option: "devices".to_owned(),
        value: slots.to_string(),
        message: format!("Too many devices for alioth's bus; {PCI_SLOTS} are possible"),
        able: Vec::new(),
    });
    too_many.into_iter().collect()
}

fn pci_slots(vm: &Vm) -> usize {
    let entropy_and_vsock = 2;
    let root = match vm.store.kind {
        StoreKind::Share(RootShare::NineP) => 0,
        _ => 1,
    };
    entropy_and_vsock
        + root
        + vm.volumes.len()
        + usize::from(!vm.credential_files.is_empty())
        + vm.shares.len()
        + vm.interfaces.len()
        + usize::from(vm.memory.balloon.is_some())
        + vm.devices.len()
}

/// Passed-through devices are named by their IOMMU group.
pub(super) fn host_reasons(input: &Input) -> Vec<Reason> {
    let devices = input.vm.devices.iter().enumerate();
    devices
        .filter_map(|(index, device)| match device {
            Device::Pci { address, .. } if !input.facts.iommu_groups.contains_key(address) => {
                Some(Reason::NoIommuGroup {
                    option: format!("devices[{index}].path"),
                    address: address.clone(),
                })
            }
            _ => None,
        })
        .collect()
}
