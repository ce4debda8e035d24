//! QEMU, 7.2 and newer: one argument vector for machines `microvm`, `q35` and `virt`.

mod confine;
mod console;
mod devices;
mod disks;
mod forward;
mod graphics;
mod host;
mod limits;
mod machine;
mod memory;
mod net;
mod shares;
mod transport;

use std::path::Path;

use spec::Vm;
use spec::vm::{RootShare, ShareProto};

use crate::args::Args;
use crate::backends::Backend;
use crate::control::{Api, Control};
use crate::plan::{
    self, Accel, Action, Console, GuestFiles, HostFacts, Input, Leaving, Plan, Version,
};
use crate::refused::{Reason, Refusal};
use crate::{accel, before, root_share};
use transport::Bus;

/// All that the parts of the argument vector are made from.
struct Context<'a> {
    vm: &'a Vm,
    guest: &'a GuestFiles,
    facts: &'a HostFacts,
    bus: Bus,
    accel: Accel,
}

impl<'a> Context<'a> {
    fn new(input: &Input<'a>) -> Self {
        Self {
            vm: input.vm,
            guest: input.guest,
            facts: input.facts,
            bus: transport::bus(input.vm),
            accel: accel::effective(input.vm, input.facts),
        }
    }

    fn input(&self) -> Input<'a> {
        Input {
            vm: self.vm,
            guest: self.guest,
            facts: self.facts,
        }
    }

    /// Whether a virtiofs daemon maps the guest's memory.
    fn shares_memory(&self) -> bool {
        let is_virtiofs = |proto: &ShareProto| matches!(proto, ShareProto::Virtiofs { .. });
        root_share::proto(self.vm) == Some(RootShare::Virtiofs)
            || self.vm.shares.iter().any(|share| is_virtiofs(&share.proto))
    }

    fn has_memory_backend(&self) -> bool {
        self.shares_memory() || self.vm.memory.hugepages
    }
}

/// QEMU as a backend.
pub(crate) struct Qemu;

impl Backend for Qemu {
    fn oldest(&self) -> Version {
        Version(7, 2, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        host::programs(input.vm, input.facts)
    }

    fn command_line(&self, input: &Input) -> String {
        console::command_line(&Context::new(input))
    }

    fn plan(&self, input: &Input) -> Plan {
        let context = Context::new(input);
        let control = self.control(input.vm, &input.facts.program);
        Plan {
            before: before(&context, &control),
            argv: plan::argv(input, arguments(&context)),
            control,
            console: self.console(input.vm),
            // `-no-reboot`.
            leaving: Leaving::WithGuest,
        }
    }

    fn console(&self, vm: &Vm) -> Console {
        if vm.options.qemu.serial_console {
            Console::Mux
        } else {
            Console::None
        }
    }

    fn control(&self, vm: &Vm, _program: &Path) -> Control {
        Control {
            api: match &vm.socket {
                Some(socket) => Api::Qmp {
                    socket: socket.clone(),
                },
                None => Api::None,
            },
            ..Control::signals_alone(vm)
        }
    }

    fn queues(&self, vm: &Vm) -> u32 {
        transport::queues(vm)
    }
}

fn arguments(context: &Context) -> Vec<String> {
    let mut args = Args::default();
    machine::push(context, &mut args);
    memory::push(context, &mut args);
    console::push(context, &mut args);
    devices::push_buses(context, &mut args);
    disks::push(context, &mut args);
    shares::push(context, &mut args);
    net::push(context, &mut args);
    devices::push(context, &mut args);
    graphics::push(context, &mut args);
    confine::push(context, &mut args);
    args.extend(&context.vm.options.qemu.extra_args);
    args.into_vec()
}

fn before(context: &Context, control: &Control) -> Vec<Action> {
    let vm = context.vm;
    let mut actions = before::actions(vm, control);
    if !vm.credential_files.is_empty() {
        actions.push(Action::CheckCredentials(vm.credential_files.clone()));
    }
    actions.extend(before::macvtaps(vm, transport::queues(vm)));
    actions.extend(before::extra_args(vm));
    actions
}
