//! What a runner package does on this host: run, stop, balloon, shares, interfaces.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backend::control::Control;
use backend::plan::Plan;
use backend::refused::ReasonKind;
use host::control::Stopped;
use host::fleet::{Fleet, Owner};
use host::probe::Host;
use host::service::machine;
use host::supervise::{Ended, Run};
use host::virtiofs::Shares;
use spec::names::VmName;
use spec::vm::{Device, Interface, InterfaceKind};

use crate::error::{Error, Kind, OrKind, Result};
use crate::networks;
use crate::package;
use crate::places::Places;
use crate::session_key;
use crate::verbs::{self, Live, say};

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

    /// As it runs in a directory. One that is installed there has the name of that: what its
    /// definition calls itself is the guest's affair.
    pub fn in_directory(package: &Path, directory: &Path) -> Result<Self> {
        let runner = package::read(package)?;
        Ok(Self {
            package: package.to_owned(),
            runner: match installed_as(package, directory) {
                Some(name) => runner.named(name),
                None => runner,
            },
        })
    }

    /// Becomes the hypervisor, in the current directory.
    pub fn become_hypervisor(&self, extra: &[OsString], places: &Places) -> Result<ExitCode> {
        let host = Host::here(places.cache.clone());
        let found = host::probe::probe(&self.runner.vm, &host)?;
        let mut vm = self.runner.vm.clone();
        vm.boot
            .kernel_params
            .extend(session_key::kernel_parameter());
        let plan = Plan::new(&vm, &self.runner.guest, &found.facts).map_err(|refused| {
            let kind = match refused.kind() {
                ReasonKind::Definition => Kind::Definition,
                ReasonKind::Program => Kind::Missing,
            };
            Error::new(kind, refused)
        })?;
        if let Some(line) = found.acceleration.line() {
            say(line);
        }
        // A host that starts the package by itself hears from it when the VM runs.
        host::service::leave_watcher(&self.package, &vm.name).or_kind(Kind::Other)?;
        let package = std::path::absolute(&self.package).or_kind(Kind::NotFound)?;
        host::exec::run(
            &plan,
            self.name(),
            &package,
            Path::new("."),
            extra,
            &mut say,
        )?;
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
            console_on_stdin: backend::control::has_console(vm),
            stop_timeout: verbs::stop_timeout()?,
        };
        match host::supervise::run(&run, &mut say)? {
            Ended::ByGuest | Ended::Stopped(Stopped::Graceful | Stopped::NotRunning) => {
                Ok(ExitCode::SUCCESS)
            }
            Ended::Stopped(stopped) => Ok(verbs::escalated(self.name(), stopped)),
            Ended::Interrupted => Ok(ExitCode::from(Kind::Interrupted as u8)),
            Ended::Refused(code) => Ok(ExitCode::from(code)),
        }
    }

    /// A verb of bin/ for a VM that runs in the current directory.
    pub fn live(&self, verb: Live, arguments: &[OsString]) -> Result<ExitCode> {
        let control = self.control();
        match verb {
            Live::Shutdown => verbs::shutdown(&control),
            Live::Balloon => verbs::balloon(&control, verbs::size(arguments)?),
            Live::Pause => verbs::pause(&control),
            Live::Resume => verbs::resume(&control),
            Live::Status => verbs::status(&[(".".into(), control)], arguments == ["--json"]),
            Live::Console => verbs::console(&control),
        }
    }

    pub fn serve_shares(&self) -> Result<ExitCode> {
        host::virtiofs::run_all(&self.shares()?, &mut say)?;
        Ok(ExitCode::SUCCESS)
    }

    pub fn taps_up(&self) -> Result<ExitCode> {
        // So that who manages interfaces leaves these alone when they appear.
        self.attach_taps()?;
        for interface in self.taps() {
            let tap = host::tap::Tap {
                id: &interface.id,
                owner: self.owner()?,
                multi_queue: backend::package::has_queues(&self.runner.vm),
            };
            tap.up()?;
        }
        self.attach_taps()?;
        Ok(ExitCode::SUCCESS)
    }

    /// Onto the host's networks, where it has some.
    fn attach_taps(&self) -> Result<()> {
        let fleet = Fleet::new(&crate::places::state_dir(), Owner::here())?;
        let name = host::fleet::name(self.name())?;
        let taps: Vec<_> = self.taps().map(|interface| interface.id.clone()).collect();
        let own = networks::interfaces(&name, &self.runner.vm);
        networks::attach_these(&fleet, &name, &own, &taps)
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

    /// Gives the PCI devices of the VM to vfio-pci.
    pub fn pci_set_up(&self) -> Result<ExitCode> {
        let devices = self.runner.vm.devices.iter();
        let addresses: Vec<String> = devices
            .filter_map(|device| match device {
                Device::Pci { address, .. } => Some(address.clone()),
                Device::Usb { .. } => None,
            })
            .collect();
        host::pci::Pci::here().set_up(&addresses, self.owner()?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Makes the VM known to systemd-machined(8): `machinectl` then lists it.
    /// The process of the hypervisor is the first argument, or in `MAINPID`, or holds the lock.
    pub fn register(&self, arguments: &[OsString]) -> Result<ExitCode> {
        let given = arguments.first().and_then(|pid| pid.to_str()?.parse().ok());
        let leader = given.or_else(|| std::env::var("MAINPID").ok()?.parse().ok());
        let leader: Option<u32> = leader.or_else(|| {
            let process = host::process::Process::of_lock(Path::new("."), self.name());
            process.map(|process| process.pid())
        });
        let leader = leader.ok_or_else(|| {
            let message = format!("`{}` does not run in this directory", self.name());
            Error::new(Kind::NotFound, message)
        })?;
        machine::register(self.name(), self.runner.vm.machine_id.as_hex(), leader)?;
        Ok(ExitCode::SUCCESS)
    }

    pub fn unregister(&self) -> Result<ExitCode> {
        machine::terminate(self.name())?;
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

    /// How the VM is spoken to where it runs.
    pub fn control(&self) -> Control {
        let vm = &self.runner.vm;
        let host = Host::here(Places::of_this_user().cache);
        // One that is not here cannot run here: its name does for the message.
        let program = host::probe::find_hypervisor(vm, &host);
        let name = host::probe::program_name(vm.hypervisor, vm.arch);
        Control::of(vm, &program.unwrap_or_else(|_| name.into()))
    }

    pub fn vm(&self) -> &spec::Vm {
        &self.runner.vm
    }

    pub fn name(&self) -> &str {
        &self.runner.vm.name
    }
}

/// The name of a VM's directory, where a package is what that runs or is to run.
fn installed_as(package: &Path, directory: &Path) -> Option<VmName> {
    let package = package.canonicalize().ok()?;
    let directory = directory.canonicalize().ok()?;
    let mut links = ["booted", "current"]
        .iter()
        .map(|link| directory.join(link));
    links.find(|link| link.canonicalize().is_ok_and(|target| target == package))?;
    VmName::try_from(directory.file_name()?.to_str()?.to_owned()).ok()
}
