//! alioth, 0.12: built into `microvm` from its crate, or a program of the user's, with the same
//! arguments.
//!
//! It has no control socket, no seccomp filter and no sandbox of its own (0.12), and its firmware
//! configuration is in no ACPI table, so that Linux does not find it: credentials go on a disk.

mod arguments;
mod limits;
mod objects;

use std::path::{Path, PathBuf};

use spec::Vm;
use spec::agent;
use spec::vm::{Arch, RootShare, ShareProto};

use crate::backends::Backend;
use crate::control::{Agent, Api, Control};
use crate::plan::{self, Action, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, command_line, root_share};

/// alioth as a backend.
pub(crate) struct Alioth;

impl Backend for Alioth {
    fn oldest(&self) -> Version {
        Version(0, 12, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        limits::host_reasons(input)
    }

    /// The kernel's first try at a reboot, the triple fault, ends alioth; an ACPI reset would
    /// start the guest anew.
    fn command_line(&self, input: &Input) -> String {
        let console = match input.vm.arch {
            Arch::X86_64 => "console=ttyS0",
            Arch::Aarch64 => "console=ttyAMA0",
        };
        command_line::command_line(input, &[console.to_owned()])
    }

    fn plan(&self, input: &Input) -> Plan {
        let control = self.control(input.vm, &input.facts.program);
        Plan {
            before: actions(input.vm, &control),
            argv: plan::argv(input, arguments::arguments(input)),
            control,
            console: self.console(input.vm),
            leaving: Leaving::WithGuest,
        }
    }

    fn console(&self, _vm: &Vm) -> Console {
        Console::Plain
    }

    fn control(&self, vm: &Vm, _program: &Path) -> Control {
        Control {
            api: Api::None,
            agent: Some(Agent::Vsock {
                socket: vsock_socket(vm),
                port: agent::VSOCK_PORT,
            }),
            vsock: vm.vsock.map(|_| vsock_socket(vm)),
            ..Control::signals_alone(vm)
        }
    }

    /// One thread serves all queues of a device: a second pair gains nothing.
    fn queues(&self, _vm: &Vm) -> u32 {
        1
    }
}

fn actions(vm: &Vm, control: &Control) -> Vec<Action> {
    let mut actions = before::actions(vm, control);
    actions.extend(before::credentials(vm));
    actions.extend(before::extra_args(vm));
    actions
}

/// Where the guest's vsock is on the host: no CID of it is the host's, so that none collides.
fn vsock_socket(vm: &Vm) -> PathBuf {
    PathBuf::from(format!("{}-vsock.sock", vm.name))
}

/// Whether a virtiofs daemon maps the guest's memory.
fn shares_memory(vm: &Vm) -> bool {
    let is_virtiofs = |proto: &ShareProto| matches!(proto, ShareProto::Virtiofs { .. });
    root_share::proto(vm) == Some(RootShare::Virtiofs)
        || vm.shares.iter().any(|share| is_virtiofs(&share.proto))
}
