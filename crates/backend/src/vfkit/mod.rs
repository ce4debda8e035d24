//! vfkit, 0.6: the hypervisor of macOS. Checked against its source (0.6.4), never run: on any
//! other system a plan is refused.
//!
//! It shares directories itself, so that no daemon is started for them. Its vsock is a socket for
//! every single port, which no option names; `vfkit.extraArgs` can. Its balloon cannot be told a
//! size, so that there is none here.

mod arguments;
mod limits;

use std::path::Path;

use spec::Vm;

use crate::backends::Backend;
use crate::control::Control;
use crate::plan::{self, Action, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, command_line};

/// vfkit as a backend.
pub(crate) struct Vfkit;

impl Backend for Vfkit {
    /// The first with read-only disks.
    fn oldest(&self) -> Version {
        Version(0, 6, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        let other_system = !input.facts.macos;
        let needs_macos = other_system.then_some(Reason::OtherSystem {
            hypervisor: input.vm.hypervisor,
            needs: "macOS",
        });
        needs_macos.into_iter().collect()
    }

    /// Its serial port is virtio's.
    fn command_line(&self, input: &Input) -> String {
        command_line::command_line(input, &["console=hvc0".to_owned()])
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
        Control::signals_alone(vm)
    }

    /// It splits its options at commas, and knows quotes for the kernel's command line alone.
    fn unquotable(&self) -> &'static [char] {
        &[',', '"']
    }

    fn queues(&self, _vm: &Vm) -> u32 {
        1
    }
}

fn actions(vm: &Vm, control: &Control) -> Vec<Action> {
    let mut actions = before::actions(vm, control);
    actions.extend(before::extra_args(vm));
    actions
}
