//! What each hypervisor can do, declared once, and what a VM asks of its own.
//!
//! The columns of hypervisors with a backend are checked against the programs themselves, in the
//! versions that the backends name. The others say what those hypervisors are known to do.

mod needs;
mod table;

use spec::Vm;
use spec::vm::Hypervisor;

pub use needs::{Need, needs};
pub use table::Feature;

use crate::backends;
use crate::plan::Version;
use crate::refused::Refusal;

/// The hypervisors in the order of the table's columns.
pub const HYPERVISORS: [Hypervisor; 8] = [
    Hypervisor::Qemu,
    Hypervisor::CloudHypervisor,
    Hypervisor::Firecracker,
    Hypervisor::Crosvm,
    Hypervisor::Kvmtool,
    Hypervisor::Stratovirt,
    Hypervisor::Alioth,
    Hypervisor::Vfkit,
];

/// Those with a backend in this version.
pub fn built() -> Vec<Hypervisor> {
    let has_backend = |hypervisor: &Hypervisor| backends::of(*hypervisor).is_some();
    HYPERVISORS.into_iter().filter(has_backend).collect()
}

/// Whether a hypervisor has a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Yes,
    No,
    /// From this version of the hypervisor on.
    Since(Version),
}

impl Support {
    /// Whether some version has it.
    pub fn is_possible(self) -> bool {
        self != Self::No
    }
}

/// Everything that no version of the chosen hypervisor can do for this VM, all at once.
pub fn refusals(vm: &Vm) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = needs(vm)
        .into_iter()
        .filter(|need| !need.feature.support(vm.hypervisor).is_possible())
        .map(|need| refusal(vm.hypervisor, need))
        .collect();
    if let Some(backend) = backends::of(vm.hypervisor) {
        refusals.extend(backend.limits(vm));
    }
    refusals
}

fn refusal(hypervisor: Hypervisor, need: Need) -> Refusal {
    let able = need.feature.able();
    let who = match able.as_slice() {
        [] => "no hypervisor has".to_owned(),
        [one] => format!("{} has", list(&[*one])),
        many => format!("{} have", list(many)),
    };
    Refusal {
        message: format!(
            "The hypervisor `{}` has no {}; {who}",
            name(hypervisor),
            need.feature.title()
        ),
        option: need.option,
        value: need.value,
        able,
    }
}

/// The name of a hypervisor as definitions write it.
pub fn name(hypervisor: Hypervisor) -> &'static str {
    hypervisor.as_str()
}

/// `` `a`, `b` and `c` ``.
pub fn list(hypervisors: &[Hypervisor]) -> String {
    let quoted: Vec<String> = hypervisors
        .iter()
        .map(|hypervisor| format!("`{}`", name(*hypervisor)))
        .collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
