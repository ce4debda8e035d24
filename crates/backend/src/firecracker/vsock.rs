//! vsock: the guest's connections come out of a Unix socket of the host's.

use std::path::PathBuf;

use spec::Vm;
use spec::vm::Arch;

use crate::control::Agent;

/// The port that the guest's agent listens on.
const AGENT_PORT: u32 = 1024;

/// The lowest that is not reserved. Guests of one host may share it: no kernel routes by it.
const FIRST_CID: u32 = 3;

pub(super) struct Device {
    pub cid: u32,
    pub socket: PathBuf,
}

/// The device that a VM has.
pub(super) fn device(vm: &Vm) -> Option<Device> {
    let declared = vm.vsock.map(u32::from);
    let cid = declared.or(needs_agent(vm).then_some(FIRST_CID))?;
    Some(Device {
        cid,
        socket: PathBuf::from(format!("{}-vsock.sock", vm.name)),
    })
}

/// Where a guest is asked to power off that has no keyboard for Ctrl-Alt-Del.
pub(super) fn agent(vm: &Vm) -> Option<Agent> {
    let socket = device(vm).filter(|_| needs_agent(vm))?.socket;
    Some(Agent::Vsock {
        socket,
        port: AGENT_PORT,
    })
}

fn needs_agent(vm: &Vm) -> bool {
    vm.arch == Arch::Aarch64
}
