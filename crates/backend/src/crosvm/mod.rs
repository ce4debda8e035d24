//! crosvm, the version of August 2026 and those with the same options: it says `0.1.0` of itself
//! in all, so that its help tells what it can do. Sandboxed; each device is a process of its own.

mod arguments;
mod extra;
mod limits;
mod text;

use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::{ImageType, InterfaceKind};

use crate::backends::Backend;
use crate::control::{Api, Control};
use crate::plan::{self, Action, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, command_line, host_reasons};

/// What crosvm itself puts before our kernel command line.
const ITS_OWN: &str = "panic=-1 console=ttyS0 ";

/// crosvm as a backend.
pub(crate) struct Crosvm;

impl Backend for Crosvm {
    fn oldest(&self) -> Version {
        Version(0, 1, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        let mut wanted = arguments::own(input);
        wanted.retain(|arg| arg.starts_with("--"));
        if input.vm.memory.balloon.is_some() {
            wanted.push("balloon".to_owned());
        }
        let is_qcow2 = |image: ImageType| image == ImageType::Qcow2;
        if input.vm.volumes.iter().any(|it| is_qcow2(it.image_type)) {
            // A build without qcow2 would take the image for a raw one, and write over it.
            wanted.push("create_qcow2".to_owned());
        }
        let missing = host_reasons::missing_options(input.facts, wanted);
        let mut reasons = Vec::from_iter(missing);
        let length = ITS_OWN.len() + self.command_line(input).len();
        reasons.extend(host_reasons::too_long(length));
        reasons
    }

    /// Without the console, which crosvm adds.
    fn command_line(&self, input: &Input) -> String {
        command_line::command_line(input, &[])
    }

    fn plan(&self, input: &Input) -> Plan {
        let vm = input.vm;
        let control = self.control(vm, &input.facts.program);
        Plan {
            before: before(input, &control),
            argv: plan::argv(input, arguments::arguments(input)),
            control,
            console: self.console(vm),
            leaving: Leaving::AfterItsChildren,
        }
    }

    fn console(&self, _vm: &Vm) -> Console {
        Console::Plain
    }

    fn control(&self, vm: &Vm, program: &Path) -> Control {
        Control {
            api: match &vm.socket {
                Some(socket) => Api::Crosvm {
                    program: program.to_owned(),
                    socket: socket.clone(),
                    has_balloon: vm.memory.balloon.is_some(),
                },
                None => Api::None,
            },
            ..Control::signals_alone(vm)
        }
    }

    /// Of a tap; of a macvtap it knows one alone.
    fn queues(&self, vm: &Vm) -> u32 {
        let is_tap = |kind: &InterfaceKind| matches!(kind, InterfaceKind::Tap { .. });
        if vm.interfaces.iter().any(|it| is_tap(&it.kind)) {
            vm.vcpu.get().min(limits::MOST_QUEUES)
        } else {
            1
        }
    }
}

/// The directory that devices have as their root, from which they can reach nothing else.
fn pivot_root(input: &Input) -> PathBuf {
    match &input.vm.options.crosvm.pivot_root {
        Some(path) => input.facts.state.join(path),
        None => input.facts.state.join(format!("{}-empty", input.vm.name)),
    }
}

fn before(input: &Input, control: &Control) -> Vec<Action> {
    let vm = input.vm;
    let mut actions = before::actions(vm, control);
    actions.extend(before::raw_volumes(vm));
    actions.push(Action::EmptyDirectory(pivot_root(input)));
    actions.extend(before::macvtaps(vm, 1));
    actions.extend(before::credentials(vm));
    actions.extend(before::extra_args(vm));
    actions
}
