//! Programs that QEMU needs beside it on the host.

use spec::Vm;
use spec::vm::InterfaceKind;

use super::forward;
use crate::plan::HostFacts;
use crate::refused::Reason;

pub(super) fn programs(vm: &Vm, facts: &HostFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let bridge = vm
        .interfaces
        .iter()
        .position(|interface| matches!(interface.kind, InterfaceKind::Bridge { .. }));
    if let (Some(index), None) = (bridge, &facts.bridge_helper) {
        reasons.push(Reason::NoProgram {
            option: format!("interfaces[{index}].type"),
            program: "qemu-bridge-helper",
        });
    }
    if let (Some(index), None) = (forward::relayed(vm).next(), &facts.relay) {
        reasons.push(Reason::NoProgram {
            option: format!("forwardPorts[{index}].from"),
            program: "microvm",
        });
    }
    reasons
}
