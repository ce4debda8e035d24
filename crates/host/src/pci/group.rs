//! IOMMU groups: which devices can reach each other past the IOMMU.

use std::fs;
use std::path::Path;

use super::{DRIVER, Error, Pci};

/// A device of a group that is not meant for the guest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    pub address: String,
    pub driver: String,
}

/// `0000:00:1f.0 (lpc_ich), 0000:00:1f.3 (snd_hda_intel)`
pub(super) fn list(neighbours: &[Neighbour]) -> String {
    let texts: Vec<String> = neighbours
        .iter()
        .map(|neighbour| format!("{} ({})", neighbour.address, neighbour.driver))
        .collect();
    texts.join(", ")
}

/// Drivers that leave a group usable: vfio allows them beside its own (vfio_dev_driver_allowed
/// of Linux).
const HARMLESS: [&str; 3] = [DRIVER, "pci-stub", "pcieport"];

impl Pci {
    /// Number of a device's group, where the host uses no other device of it.
    pub(super) fn group_of(&self, address: &str, wanted: &[String]) -> Result<String, Error> {
        let device = self.device(address);
        let address = address.to_owned();
        if !device.exists() {
            return Err(Error::Absent { address });
        }
        let link = device.join("iommu_group");
        let Some(group) = fs::read_link(&link).ok().and_then(|to| name_of(&to)) else {
            return Err(Error::NoIommu { address });
        };
        let neighbours = self.used_by_host(&link.join("devices"), wanted);
        if neighbours.is_empty() {
            Ok(group)
        } else {
            Err(Error::Shared {
                address,
                group,
                neighbours,
            })
        }
    }

    fn used_by_host(&self, devices: &Path, wanted: &[String]) -> Vec<Neighbour> {
        let entries = fs::read_dir(devices).into_iter().flatten().flatten();
        let mut neighbours: Vec<Neighbour> = entries
            .filter_map(|entry| name_of(&entry.path()))
            .filter(|address| !wanted.contains(address) && !self.is_bridge(address))
            .filter_map(|address| {
                let driver = self.driver_of(&address)?;
                Some(Neighbour { address, driver })
            })
            .filter(|neighbour| !HARMLESS.contains(&neighbour.driver.as_str()))
            .collect();
        neighbours.sort();
        neighbours
    }

    /// Bridges belong to the path, not to the guest.
    fn is_bridge(&self, address: &str) -> bool {
        let class = fs::read_to_string(self.device(address).join("class"));
        class.is_ok_and(|class| class.trim().starts_with("0x06"))
    }
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}
