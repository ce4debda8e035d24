//! IOMMU groups of devices on the PCI bus.

use std::collections::BTreeMap;
use std::path::Path;

use spec::vm::{Device, Vm};

/// The group of each device that a VM is to get, from `<sys>/bus/pci/devices`; without those that
/// have none.
pub fn groups(vm: &Vm, sys: &Path) -> BTreeMap<String, u32> {
    let devices = sys.join("bus/pci/devices");
    let group = |address: &str| {
        let link = std::fs::read_link(devices.join(address).join("iommu_group")).ok()?;
        link.file_name()?.to_str()?.parse().ok()
    };
    let addresses = vm.devices.iter().filter_map(|device| match device {
        Device::Pci { address, .. } => Some(address),
        Device::Usb { .. } => None,
    });
    addresses
        .filter_map(|address| Some((address.clone(), group(address)?)))
        .collect()
}
