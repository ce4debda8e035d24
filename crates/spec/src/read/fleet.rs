//! The VMs of a definition.

use std::collections::BTreeMap;

use crate::names::VmName;
use crate::vm::Vm;

/// Checked VMs by name.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub vms: BTreeMap<VmName, Vm>,
}

impl FromIterator<Vm> for Fleet {
    fn from_iter<I: IntoIterator<Item = Vm>>(vms: I) -> Self {
        let vms = vms.into_iter().map(|vm| (vm.name.clone(), vm));
        Self { vms: vms.collect() }
    }
}
