//! kvmtool (`lkvm`), the version of August 2024 and those with the same options: it has said
//! `3.18.0` of itself for ten years, so that its help tells what it can do.

mod arguments;
mod limits;

use std::path::Path;

use spec::Vm;

use crate::backends::Backend;
use crate::control::{Agent, Api, Control};
use crate::plan::{self, Action, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, command_line, host_reasons};

/// kvmtool as a backend.
pub(crate) struct Kvmtool;

impl Backend for Kvmtool {
    fn oldest(&self) -> Version {
        Version(3, 18, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        let facts = input.facts;
        let mut wanted = arguments::arguments(input);
        wanted.retain(|arg| arg.starts_with("--"));
        let missing = host_reasons::missing_options(facts, wanted);
        let mut reasons = Vec::from_iter(missing);
        reasons.extend(limits::socket_path(input.vm, &facts.state));
        reasons
    }

    fn command_line(&self, input: &Input) -> String {
        command_line::command_line(input, &arguments::head(input.vm.arch))
    }

    fn plan(&self, input: &Input) -> Plan {
        let vm = input.vm;
        let control = self.control(vm, &input.facts.program);
        let mut argv = plan::argv(input, arguments::arguments(input));
        // It has its sockets below its home directory, with no option to say otherwise.
        argv.env.insert("HOME".to_owned(), ".".to_owned());
        Plan {
            before: before(vm, &control),
            argv,
            control,
            console: self.console(vm),
            leaving: Leaving::RunsOn,
        }
    }

    /// Its second serial port, of which it makes a pseudo-terminal, leads to the agent.
    fn console(&self, _vm: &Vm) -> Console {
        Console::WithAgent
    }

    fn control(&self, vm: &Vm, _program: &Path) -> Control {
        Control {
            api: match &vm.socket {
                Some(socket) => Api::Kvmtool {
                    socket: socket.clone(),
                    has_balloon: vm.memory.balloon.is_some(),
                },
                None => Api::None,
            },
            agent: Some(Agent::Socket(format!("{}-agent.sock", vm.name).into())),
            ..Control::signals_alone(vm)
        }
    }

    /// A comma ends a disk's or a share's path.
    fn unquotable(&self) -> &'static [char] {
        &[',']
    }

    /// It can serve several, but all from one queue of the interface.
    fn queues(&self, _vm: &Vm) -> u32 {
        1
    }
}

fn before(vm: &Vm, control: &Control) -> Vec<Action> {
    let mut actions = before::actions(vm, control);
    actions.extend(before::raw_volumes(vm));
    actions.extend(before::macvtaps(vm, 1));
    actions.extend(before::credentials(vm));
    actions.extend(before::extra_args(vm));
    actions
}
