//! Cloud Hypervisor, 36 and newer.
//!
//! Checked against 54 and, for older versions, its release notes. 36 is the first whose options
//! take several values at once.

mod confine;
mod devices;
mod disks;
mod limits;
mod memory;
mod net;

use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::Arch;

use crate::args::Args;
use crate::backends::Backend;
use crate::before::EVENTS_FD;
use crate::control::{Api, Control};
use crate::plan::{self, Action, Console, Input, Leaving, Plan, Version};
use crate::refused::{Reason, Refusal};
use crate::{before, repeats};

/// Cloud Hypervisor as a backend.
pub(crate) struct CloudHypervisor;

impl Backend for CloudHypervisor {
    fn oldest(&self) -> Version {
        Version(36, 0, 0)
    }

    fn limits(&self, vm: &Vm) -> Vec<Refusal> {
        limits::limits(vm)
    }

    fn host_reasons(&self, _input: &Input) -> Vec<Reason> {
        Vec::new()
    }

    fn command_line(&self, input: &Input) -> String {
        let console = match input.vm.arch {
            Arch::X86_64 => "console=ttyS0",
            Arch::Aarch64 => "console=ttyAMA0",
        };
        crate::command_line::command_line(input, &[console.to_owned()])
    }

    fn plan(&self, input: &Input) -> Plan {
        let control = self.control(input.vm, &input.facts.program);
        let mut argv = plan::argv(input, arguments(input, self.command_line(input)));
        argv.repeats = repeats::Repeats::Merged;
        argv.args = argv.with(&input.vm.options.cloud_hypervisor.extra_args);
        Plan {
            before: before(input.vm, &control),
            argv,
            control,
            console: self.console(input.vm),
            leaving: Leaving::Restarts {
                events_fd: EVENTS_FD,
            },
        }
    }

    fn console(&self, _vm: &Vm) -> Console {
        Console::Plain
    }

    fn control(&self, vm: &Vm, _program: &Path) -> Control {
        Control {
            api: match &vm.socket {
                Some(socket) => Api::CloudHypervisor {
                    socket: socket.clone(),
                },
                None => Api::None,
            },
            vsock: vm.vsock.map(|_| vsock_socket(vm)),
            ..Control::signals_alone(vm)
        }
    }

    /// Its parser has quotes, but not in all versions and not in lists.
    fn unquotable(&self) -> &'static [char] {
        &limits::SPECIAL
    }

    /// One for each vCPU, which is the most that it takes.
    fn queues(&self, vm: &Vm) -> u32 {
        vm.vcpu.get().min(net::MOST_QUEUES)
    }
}

fn arguments(input: &Input, command_line: String) -> Vec<String> {
    let (vm, guest) = (input.vm, input.guest);
    let mut args = Args::default();
    if let Some(socket) = &vm.socket {
        args.pair("--api-socket", format!("path={}", socket.display()));
    }
    confine::push(input, &mut args);
    args.pair("--kernel", guest.kernel.to_string_lossy());
    args.pair("--initramfs", guest.initrd.to_string_lossy());
    args.pair("--cmdline", command_line);
    args.pair("--serial", "tty");
    args.pair("--console", "off");
    // A reset restarts the guest in place: our own process, told of it, ends the VM.
    args.pair("--event-monitor", format!("fd={EVENTS_FD}"));
    memory::push(vm, &mut args);
    devices::push_platform(input, &mut args);
    disks::push(input, &mut args);
    devices::push_shares(vm, &mut args);
    net::push(vm, &mut args);
    devices::push(vm, &mut args);
    args.into_vec()
}

fn before(vm: &Vm, control: &Control) -> Vec<Action> {
    let mut actions = before::actions(vm, control);
    actions.extend(before::credentials(vm));
    actions.extend(before::macvtaps(vm, CloudHypervisor.queues(vm)));
    actions.extend(before::extra_args(vm));
    actions
}

/// The guest's vsock comes out of it.
fn vsock_socket(vm: &Vm) -> PathBuf {
    PathBuf::from(format!("{}-vsock.sock", vm.name))
}
