//! Which accelerator a VM really runs with, and how that is said to the user.

use spec::Vm;

use crate::plan::{Accel, HostFacts};

/// The accelerator of a VM: the definition's wish first, then what the host was found to have.
///
/// `cpu` asks for emulation; `accel` of `qemu.machineOpts` is the user's own decision.
pub fn effective(vm: &Vm, facts: &HostFacts) -> Accel {
    let emulated = match facts.accel {
        Accel::Kvm => Accel::Tcg { tsc_khz: None },
        tcg => tcg,
    };
    match user_accel(vm) {
        Some(accel) if accel.starts_with("tcg") => emulated,
        Some("kvm") => Accel::Kvm,
        _ if vm.cpu.is_some() => emulated,
        _ => facts.accel,
    }
}

/// One line that says how the guest's processor is run.
pub fn accel_line(vm: &Vm, facts: &HostFacts) -> String {
    match (effective(vm, facts), &vm.cpu) {
        (Accel::Kvm, _) => "Runs with KVM.".to_owned(),
        (Accel::Tcg { .. }, Some(cpu)) => {
            format!("Emulates the processor `{cpu}` in software (TCG), as `cpu` asks.")
        }
        (Accel::Tcg { .. }, None) if user_accel(vm).is_some() => {
            "Emulates the processor in software (TCG), as `qemu.machineOpts` asks.".to_owned()
        }
        (Accel::Tcg { .. }, None) => {
            "Emulates the processor in software (TCG), because KVM cannot boot a guest here; \
             expect it to be several times slower."
                .to_owned()
        }
    }
}

fn user_accel(vm: &Vm) -> Option<&str> {
    let options = vm.options.qemu.machine_opts.as_ref()?;
    options.get("accel").map(String::as_str)
}
