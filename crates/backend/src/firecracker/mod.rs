//! Firecracker, 1.8 and newer: its whole machine in one JSON file, handed over in memory.
//!
//! Checked against 1.17 and, for older versions, its changelog. 1.8 is the first that tells the
//! guest of its virtio devices through ACPI, which is how the kernels of distributions find them.

mod config;
mod limits;
mod merge;
mod slots;
mod vsock;

use std::path::Path;

use spec::Vm;
use spec::vm::{Arch, DriveIoEngine};

use crate::args::Args;
use crate::backends::Backend;
use crate::before::{self, CONFIG_FD};
use crate::control::{Api, Control};
use crate::plan::{self, Action, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};

/// Firecracker as a backend.
pub(crate) struct Firecracker;

impl Backend for Firecracker {
    fn oldest(&self) -> Version {
        Version(1, 8, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, input: &Input) -> Vec<Reason> {
        let pci = slots::needs_pci(input.vm) && !slots::has_pci(input.facts);
        let missing = pci.then(|| Reason::Definition(slots::too_many(input.vm)));
        missing.into_iter().collect()
    }

    fn command_line(&self, input: &Input) -> String {
        let head: &[&str] = match input.vm.arch {
            // A triple fault is an error to Firecracker, the keyboard controller's reset its end.
            // That controller has a keyboard alone, which gives no answers.
            Arch::X86_64 => &[
                "console=ttyS0",
                "reboot=k",
                "i8042.noaux",
                "i8042.nomux",
                "i8042.dumbkbd",
            ],
            Arch::Aarch64 => &["console=ttyS0"],
        };
        let head: Vec<String> = head.iter().map(|param| (*param).to_owned()).collect();
        crate::command_line::command_line(input, &head)
    }

    fn plan(&self, input: &Input) -> Plan {
        let control = self.control(input.vm, &input.facts.program);
        Plan {
            before: self.before(input, &control),
            argv: plan::argv(input, arguments(input)),
            control,
            console: self.console(input.vm),
            leaving: Leaving::RunsOn,
        }
    }

    fn console(&self, _vm: &Vm) -> Console {
        Console::Plain
    }

    fn control(&self, vm: &Vm, _program: &Path) -> Control {
        Control {
            api: match &vm.socket {
                Some(socket) => Api::Firecracker {
                    socket: socket.clone(),
                },
                None => Api::None,
            },
            agent: vsock::agent(vm),
            vsock: vsock::device(vm).map(|device| device.socket),
            ..Control::signals_alone(vm)
        }
    }

    /// Its network device has a single pair.
    fn queues(&self, _vm: &Vm) -> u32 {
        1
    }
}

impl Firecracker {
    fn before(&self, input: &Input, control: &Control) -> Vec<Action> {
        let vm = input.vm;
        let mut actions = before::actions(vm, control);
        actions.extend(before::credentials(vm));
        actions.extend(config::cpu_template(vm));
        if vm.options.firecracker.drive_io_engine != config::io_engine(input) {
            let line = "io_uring is not usable on this host; Firecracker's disks use the engine \
                        `Sync`, which is slower";
            actions.push(Action::Say(line.to_owned()));
        }
        actions.push(Action::PassFile {
            name: "firecracker.json".to_owned(),
            content: config::text(input, self.command_line(input)),
            fd: CONFIG_FD,
        });
        actions.extend(before::extra_args(vm));
        actions
    }
}

fn arguments(input: &Input) -> Vec<String> {
    let vm = input.vm;
    let extra = &vm.options.firecracker.extra_args;
    let user_has = |flag: &str| extra.iter().any(|arg| arg == flag);
    let mut args = Args::default();
    if !user_has("--id") {
        args.pair("--id", id(&vm.name));
    }
    if !user_has("--level") {
        // Its log is at the guest's console; errors it prints on stderr as well.
        args.pair("--level", "Error");
    }
    match &vm.socket {
        Some(socket) => args.pair("--api-sock", socket.to_string_lossy()),
        None => args.flag("--no-api"),
    }
    let config = before::path_of_fd(CONFIG_FD);
    args.pair("--config-file", config.to_string_lossy());
    if slots::needs_pci(vm) && !user_has(slots::ENABLE_PCI) {
        args.flag(slots::ENABLE_PCI);
    }
    args.extend(extra);
    args.into_vec()
}

/// Letters, digits and hyphens, at most 64.
fn id(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Whether disks go through io_uring.
fn is_async(engine: DriveIoEngine) -> bool {
    engine == DriveIoEngine::Async
}
