//! kvmtool (`lkvm`), the version of August 2024 and those with the same options: it has said
//! `3.18.0` of itself for ten years, so that its help tells what it can do.

mod arguments;
mod limits;

use std::path::{Path, PathBuf};

use spec::Vm;

use crate::backends::Backend;
use crate::control::{Agent, Api, Control};
use crate::plan::{self, Action, Console, Input, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, command_line};

/// What stands before the path of a pseudo-terminal on lkvm's standard error.
const ASSIGNED: &str = "Info: Assigned terminal 1 to pty ";

/// Reads which pseudo-terminal leads to the guest's second serial port, where its agent listens.
///
/// lkvm writes `  Info: Assigned terminal 1 to pty /dev/pts/3` to its standard error as soon as it
/// has read its arguments. It closes its own end of the terminal and then polls it without a
/// pause until somebody opens it.
pub fn agent_pty(line: &str) -> Option<PathBuf> {
    let path = line.trim().strip_prefix(ASSIGNED)?;
    path.starts_with("/dev/").then(|| PathBuf::from(path))
}

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
        let arguments = arguments::arguments(input);
        let unknown = arguments
            .iter()
            .filter(|arg| arg.starts_with("--") && !facts.options.contains(*arg))
            .map(|option| Reason::NoOption {
                program: facts.program.clone(),
                option: option.clone(),
            });
        let mut reasons: Vec<Reason> = unknown.collect();
        reasons.dedup();
        reasons.extend(limits::socket_path(input.vm, &facts.state));
        reasons
    }

    fn command_line(&self, input: &Input) -> String {
        // A triple fault ends only the vCPU that has it, and lkvm waits for the first one: after
        // a panic on another it would stay. The keyboard controller ends them all.
        command_line::with_reboot(input, &arguments::console(input.vm.arch), "k")
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
            console: Console::WithAgent,
        }
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
    actions.extend(before::macvtaps(vm, 1));
    actions.extend(before::credentials(vm));
    actions.extend(before::extra_args(vm));
    actions
}
