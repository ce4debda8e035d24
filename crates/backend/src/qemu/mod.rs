//! QEMU, 7.2 and newer: one argument vector for machines `microvm`, `q35` and `virt`.

mod args;
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

use spec::Vm;
use spec::vm::{RootShare, ShareProto};

pub(crate) use host::host_reasons;
pub(crate) use limits::limits;

use crate::accel;
use crate::plan::{Accel, Action, Argv, Control, GuestFiles, HostFacts, Plan};
use crate::root_share;
use args::Args;
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
    fn new(vm: &'a Vm, guest: &'a GuestFiles, facts: &'a HostFacts) -> Self {
        Self {
            vm,
            guest,
            facts,
            bus: transport::bus(vm),
            accel: accel::effective(vm, facts),
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

/// Whether tap interfaces of a VM are opened with several queues, which they must be made for.
pub(crate) fn multi_queue(vm: &Vm) -> bool {
    transport::queues(vm) > 1
}

/// The plan of a VM against which nothing stands.
pub(crate) fn plan(vm: &Vm, guest: &GuestFiles, facts: &HostFacts) -> Plan {
    let context = Context::new(vm, guest, facts);
    Plan {
        before: before(&context),
        argv: argv(&context),
        control: match &vm.socket {
            Some(socket) => Control::Qmp {
                socket: socket.clone(),
            },
            None => Control::None,
        },
    }
}

fn argv(context: &Context) -> Argv {
    let vm = context.vm;
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
    args.extend(&vm.options.qemu.extra_args);
    Argv {
        program: context.facts.program.clone(),
        process_name: vm.pretty_procnames.then(|| format!("microvm@{}", vm.name)),
        args: args.into_vec(),
    }
}

fn before(context: &Context) -> Vec<Action> {
    let vm = context.vm;
    let mut actions = Vec::new();
    if !vm.pre_start.is_empty() {
        actions.push(Action::PreStart(vm.pre_start.clone()));
    }
    actions.extend(vm.volumes.iter().cloned().map(Action::PrepareVolume));
    actions.extend(vm.socket.clone().map(Action::RemoveStaleSocket));
    actions.extend(net::macvtap_actions(context));
    actions.extend(vm.extra_args_script.clone().map(Action::ExtraArgs));
    actions
}
