//! What a runner package does on this host: run, stop, balloon, shares, interfaces.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backend::control::Control;
use backend::plan::Plan;
use backend::refused::ReasonKind;
use host::control::Stopped;
use host::probe::Host;
use host::supervise::{Ended, Run};
use host::virtiofs::Shares;
use spec::vm::{Interface, InterfaceKind};

use crate::error::{Error, Kind, OrKind, Result};
use crate::package;
use crate::places::Places;

/// A runner package, read.
pub struct Runner {
    package: PathBuf,
    runner: backend::package::Runner,
}

impl Runner {
    pub fn open(package: &Path) -> Result<Self> {
        let runner = package::read(package)?;
        Ok(Self {
            package: package.to_owned(),
            runner,
        })
    }

    /// Becomes the hypervisor, in the current directory.
    pub fn become_hypervisor(&self, extra: &[OsString], places: &Places) -> Result<ExitCode> {
        let host = Host::here(places.cache.clone());
        let found = host::probe::probe(&self.runner.vm, &host)?;
        let plan =
            Plan::new(&self.runner.vm, &self.runner.guest, &found.facts).map_err(|refused| {
                let kind = match refused.kind() {
                    ReasonKind::Definition => Kind::Definition,
                    ReasonKind::Program => Kind::Missing,
                };
                Error::new(kind, refused)
            })?;
        if let Some(line) = found.acceleration.line() {
            say(line);
        }
        host::exec::run(&plan, self.name(), Path::new("."), extra, &mut say)?;
        unreachable!("a hypervisor took the place of this process")
    }

    /// Runs in the foreground until the VM ends.
    pub fn supervise(&self, state: &Path, extra: &[String]) -> Result<ExitCode> {
        let program = self.package.join("bin/microvm-run");
        let args: Vec<OsString> = extra.iter().map(OsString::from).collect();
        let vm = &self.runner.vm;
        let run = Run {
            vm: self.name(),
            program: &program,
            args: &args,
            state,
            control: self.control(),
            shares: self.shares()?,
            forward_ports: &vm.forward_ports,
            console_on_stdin: vm.options.qemu.serial_console,
            stop_timeout: stop_timeout()?,
        };
        match host::supervise::run(&run, &mut say)? {
            Ended::ByGuest | Ended::Stopped(Stopped::Graceful | Stopped::NotRunning) => {
                Ok(ExitCode::SUCCESS)
            }
            Ended::Stopped(stopped) => Ok(self.escalated(stopped)),
            Ended::Interrupted => Ok(ExitCode::from(Kind::Interrupted as u8)),
            Ended::Refused(code) => Ok(ExitCode::from(code)),
        }
    }

    pub fn shutdown(&self) -> Result<ExitCode> {
        let stopped =
            host::control::shutdown(&self.control(), stop_timeout()?, &AtomicBool::new(false))?;
        match stopped {
            Stopped::Graceful => say(format!("`{}` has shut itself down", self.name())),
            Stopped::NotRunning => say(format!("`{}` does not run here", self.name())),
            Stopped::Quit | Stopped::Killed => return Ok(self.escalated(stopped)),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn escalated(&self, stopped: Stopped) -> ExitCode {
        let how = if stopped == Stopped::Killed {
            "killed"
        } else {
            "told to quit"
        };
        say(format!(
            "`{}` did not shut itself down in time; its hypervisor was {how}",
            self.name()
        ));
        ExitCode::from(Kind::Escalated as u8)
    }

    /// Prints the memory that the guest is left with, in MiB.
    pub fn balloon(&self, arguments: &[OsString]) -> Result<ExitCode> {
        let size = match arguments {
            [size] => size
                .to_str()
                .and_then(|size| size.parse::<u64>().ok())
                .filter(|size| *size > 0),
            _ => None,
        };
        let Some(size) = size else {
            let message = "The argument is the memory to leave the guest, in MiB, such as `512`";
            return Err(Error::new(Kind::Usage, message).hint("usage: microvm-balloon SIZE"));
        };
        println!("{}", host::control::balloon(&self.control(), size)?);
        Ok(ExitCode::SUCCESS)
    }

    pub fn serve_shares(&self) -> Result<ExitCode> {
        host::virtiofs::run_all(&self.shares()?, &mut say)?;
        Ok(ExitCode::SUCCESS)
    }

    pub fn taps_up(&self) -> Result<ExitCode> {
        for interface in self.taps() {
            let tap = host::tap::Tap {
                id: &interface.id,
                owner: self.owner()?,
                multi_queue: self.runner.vm.vcpu.get() > 1,
            };
            tap.up()?;
        }
        Ok(ExitCode::SUCCESS)
    }

    pub fn taps_down(&self) -> Result<ExitCode> {
        for interface in self.taps() {
            host::tap::down(&interface.id)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    pub fn macvtaps_up(&self) -> Result<ExitCode> {
        for interface in &self.runner.vm.interfaces {
            if let InterfaceKind::Macvtap { link, mode } = &interface.kind {
                let macvtap = host::tap::Macvtap {
                    id: &interface.id,
                    link,
                    mode: *mode,
                    mac: &interface.mac,
                    owner: self.owner()?,
                };
                macvtap.up()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    pub fn macvtaps_down(&self) -> Result<ExitCode> {
        let interfaces = self.runner.vm.interfaces.iter();
        for interface in interfaces.filter(|i| matches!(i.kind, InterfaceKind::Macvtap { .. })) {
            host::tap::down(&interface.id)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn taps(&self) -> impl Iterator<Item = &Interface> {
        let interfaces = self.runner.vm.interfaces.iter();
        interfaces.filter(|interface| matches!(interface.kind, InterfaceKind::Tap { .. }))
    }

    /// Who may open the interfaces: the definition's `user`, else the host's `microvm`, where
    /// there is one; else root alone.
    fn owner(&self) -> Result<Option<u32>> {
        match &self.runner.vm.user {
            None => Ok(host::user::user_id("microvm")),
            Some(name) => host::user::user_id(name).map(Some).ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    format!(
                        "There is no user `{name}`, which `user` of `{}` names",
                        self.name()
                    ),
                )
            }),
        }
    }

    fn shares(&self) -> Result<Shares> {
        let exe = std::env::current_exe().or_kind(Kind::Other)?;
        Ok(Shares::of(
            &self.runner.vm,
            self.runner.guest.root_tree.as_deref(),
            &exe,
        )?)
    }

    fn control(&self) -> Control {
        let vm = &self.runner.vm;
        let host = Host::here(Places::of_this_user().cache);
        // One that is not here cannot run here: its name does for the message.
        let program = host::probe::find_hypervisor(vm, &host);
        let name = host::probe::program_name(vm.hypervisor, vm.arch);
        Control::of(vm, &program.unwrap_or_else(|_| name.into()))
    }

    fn name(&self) -> &str {
        &self.runner.vm.name
    }
}

/// Longest that a guest may take to shut itself down; see `docs/running.md`.
const STOP_TIMEOUT: &str = "MICROVM_SHUTDOWN_TIMEOUT";

fn stop_timeout() -> Result<Duration> {
    match std::env::var(STOP_TIMEOUT) {
        Err(_) => Ok(Duration::from_secs(60)),
        Ok(text) => text.parse().map(Duration::from_secs).map_err(|_| {
            Error::new(
                Kind::Usage,
                format!("`{STOP_TIMEOUT}` is `{text}`; accepted is a whole number of seconds"),
            )
        }),
    }
}

fn say(line: String) {
    // While the hypervisor has the terminal in raw mode, a line feed alone does not go back to
    // the first column.
    let end = if std::io::stderr().is_terminal() {
        "\r\n"
    } else {
        "\n"
    };
    anstream::eprint!("microvm: {line}{end}");
}
