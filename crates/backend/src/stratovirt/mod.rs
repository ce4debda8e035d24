//! StratoVirt, 2.5: its machine with PCI and ACPI (`q35`, on aarch64 `virt`), booted without
//! firmware.
//!
//! Its machine `microvm` is not used: it tells the kernel of devices by
//! `virtio_mmio.device=`, which kernels of distributions are built without, and has places for
//! four disks and two interfaces, and none for a serial port of the agent's.
//! seccomp is on, as it is unless `-disable-seccomp` is given.

mod arguments;
mod disks;
mod limits;
mod net;
mod slots;

use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::{Arch, RootShare, ShareProto};

use crate::backends::Backend;
use crate::control::{Agent, Api, Control};
use crate::plan::{self, Action, Argv, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, command_line, root_share};

/// StratoVirt as a backend.
pub(crate) struct Stratovirt;

impl Backend for Stratovirt {
    fn oldest(&self) -> Version {
        Version(2, 5, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        limits::host_reasons(input)
    }

    /// What is not there is not looked for: other serial ports, each try of which is an error line
    /// of StratoVirt's, and the ACPI timer, which without firmware only says 0 and takes 100,000
    /// reads to find out.
    fn command_line(&self, input: &Input) -> String {
        let head: &[&str] = match input.vm.arch {
            Arch::X86_64 => &["console=ttyS0", "8250.nr_uarts=1", "pmtmr=0"],
            Arch::Aarch64 => &["console=ttyAMA0"],
        };
        let head: Vec<String> = head.iter().map(|param| (*param).to_owned()).collect();
        command_line::command_line(input, &head)
    }

    fn plan(&self, input: &Input) -> Plan {
        let control = self.control(input.vm, &input.facts.program);
        Plan {
            before: actions(input.vm, &control),
            argv: Argv {
                // Else every start is told at length on stderr.
                env: [("STRATOVIRT_LOG_LEVEL".to_owned(), "error".to_owned())].into(),
                ..plan::argv(input, arguments::arguments(input))
            },
            control,
            console: self.console(input.vm),
            leaving: Leaving::WithGuest,
        }
    }

    fn console(&self, _vm: &Vm) -> Console {
        Console::Plain
    }

    /// Its QMP has a power button on aarch64 alone, so that the agent is asked on both.
    fn control(&self, vm: &Vm, _program: &Path) -> Control {
        Control {
            api: match &vm.socket {
                Some(socket) => Api::Qmp {
                    socket: socket.clone(),
                },
                None => Api::None,
            },
            agent: Some(Agent::Socket(agent_socket(vm))),
            ..Control::signals_alone(vm)
        }
    }

    /// One socket is opened for every queue of a tap interface; a device has at most 32 of them,
    /// of which one is for control.
    fn queues(&self, vm: &Vm) -> u32 {
        const MOST: u32 = 15;
        vm.vcpu.get().min(MOST)
    }

    /// It splits at both, and knows no way around it.
    fn unquotable(&self) -> &'static [char] {
        &[',', '=']
    }
}

fn actions(vm: &Vm, control: &Control) -> Vec<Action> {
    let mut actions = before::actions(vm, control);
    actions.extend(before::macvtaps(vm, Stratovirt.queues(vm)));
    actions.extend(before::credentials(vm));
    actions.extend(before::extra_args(vm));
    actions
}

fn agent_socket(vm: &Vm) -> PathBuf {
    PathBuf::from(format!("{}-agent.sock", vm.name))
}

/// Whether a virtiofs daemon maps the guest's memory.
fn shares_memory(vm: &Vm) -> bool {
    let is_virtiofs = |proto: &ShareProto| matches!(proto, ShareProto::Virtiofs { .. });
    root_share::proto(vm) == Some(RootShare::Virtiofs)
        || vm.shares.iter().any(|share| is_virtiofs(&share.proto))
}
