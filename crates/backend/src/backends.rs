//! What every backend gives, and which hypervisor has which.

use std::path::Path;

use spec::Vm;
use spec::vm::Hypervisor;

use crate::cloud_hypervisor;
use crate::control::Control;
use crate::firecracker;
use crate::plan::{Console, Input, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{alioth, crosvm, kvmtool, qemu, stratovirt, vfkit};

/// One hypervisor: what stands against a VM, and what it is started with.
pub(crate) trait Backend: Sync {
    /// The oldest version whose arguments these are.
    fn oldest(&self) -> Version;

    /// What no version of it can do for this VM, beyond what the feature table tells.
    fn limits(&self, vm: &Vm) -> Vec<Refusal>;

    /// What stands against the VM on one host, beyond what is asked of every hypervisor.
    fn host_reasons(&self, input: &Input) -> Vec<Reason>;

    /// The kernel command line.
    fn command_line(&self, input: &Input) -> String;

    /// The plan of a VM against which nothing stands.
    fn plan(&self, input: &Input) -> Plan;

    /// Where the guest's console is.
    fn console(&self, vm: &Vm) -> Console;

    fn control(&self, vm: &Vm, program: &Path) -> Control;

    /// Characters that its option parser has no way to quote, so that no path may have them.
    fn unquotable(&self) -> &'static [char] {
        &[]
    }

    /// Queue pairs of a tap or macvtap interface; with more than one it must be made for several.
    fn queues(&self, vm: &Vm) -> u32;
}

/// The backend of a hypervisor, where this version has one.
pub(crate) fn of(hypervisor: Hypervisor) -> Option<&'static dyn Backend> {
    match hypervisor {
        Hypervisor::Qemu => Some(&qemu::Qemu),
        Hypervisor::CloudHypervisor => Some(&cloud_hypervisor::CloudHypervisor),
        Hypervisor::Firecracker => Some(&firecracker::Firecracker),
        Hypervisor::Crosvm => Some(&crosvm::Crosvm),
        Hypervisor::Kvmtool => Some(&kvmtool::Kvmtool),
        Hypervisor::Stratovirt => Some(&stratovirt::Stratovirt),
        Hypervisor::Alioth => Some(&alioth::Alioth),
        Hypervisor::Vfkit => Some(&vfkit::Vfkit),
    }
}
