//! The keeper of one VM: brings up what it needs, starts it, restarts it when it fails, stops it
//! when it is told to. It holds nothing that the VM needs: killed, it leaves the VM running, and
//! another takes its place.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use backend::control::{Api, Control};
use backend::package::Runner;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use spec::names::VmName;
use spec::vm::Hypervisor;

use super::part::Part;
use super::{Account, Error, Log};
use crate::fleet::{Fleet, Owner};
use crate::lock::RunLock;
use crate::process::Process;
use crate::supervise::Signals;

mod outcome;
mod running;
mod shares;
mod starting;
mod stopping;

pub use outcome::Outcome;
use running::Running;

/// What a keeper is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub fleet: PathBuf,
    pub name: VmName,
    pub package: PathBuf,
}

/// One that ran so long has not failed in a row.
const LONG: Duration = Duration::from_secs(60);

/// Keeps a VM until it ends.
pub fn keeper_main(told: &str) -> ExitCode {
    let kept = serde_json::from_str(told)
        .map_err(|error| error.to_string())
        .and_then(|told: Told| Keeper::new(told).map_err(|error| error.to_string()))
        .and_then(|mut keeper| {
            keeper.keep().map_err(|error| match error {
                // Who reads it says of which VM it is.
                Error::Start { said, .. } => said,
                other => chain(&other),
            })
        });
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            tell(&error.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn say(line: &str) {
    eprintln!("microvm: {line}");
}

/// To who started the VM and waits; he may be gone.
fn tell(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

struct Keeper {
    told: Told,
    fleet: Fleet,
    run: PathBuf,
    own: PathBuf,
    account: Option<Account>,
    signals: Signals,
    log: Log,
    told_to_stop: bool,
    _lock: RunLock,
}

/// Why the loop went on.
enum Event {
    Stop,
    Ended(Option<ExitStatus>),
}

impl Keeper {
    fn new(told: Told) -> Result<Self, Error> {
        let wanted = [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGCHLD,
        ];
        let signals = Signals::receive(&wanted)
            .map_err(|source| Error::io("receive signals for", &told.fleet, source))?;
        let fleet = Fleet::new(&told.fleet, Owner::here())?;
        let run = fleet.own("run")?;
        let lock = RunLock::take(&run, &Part::Keeper.lock_name(&told.name))?;
        let dir = fleet.dir_of(&told.name);
        std::env::set_current_dir(&dir).map_err(|source| Error::io("enter", &dir, source))?;
        let own = std::env::current_exe().map_err(|source| Error::io("find", &dir, source))?;
        Ok(Self {
            log: Log::of(&fleet, &told.name),
            account: Account::here(),
            told,
            fleet,
            run,
            own,
            signals,
            told_to_stop: false,
            _lock: lock,
        })
    }

    fn keep(&mut self) -> Result<(), Error> {
        let mut running = match self.found() {
            Some(process) => {
                tell("ready");
                Running::Found(process)
            }
            None => match self.bring_up().and_then(|()| self.start()) {
                Ok(child) => Running::Child(child),
                Err(error) => {
                    self.take_down();
                    return Err(error);
                }
            },
        };
        let mut failures = 0;
        loop {
            let since = Instant::now();
            match self.event(&mut running) {
                Event::Stop => {
                    self.stop(&mut running).write(&self.run, &self.told.name);
                    break;
                }
                Event::Ended(None) if !self.was_cut_off() => break,
                Event::Ended(Some(status)) if status.success() => break,
                Event::Ended(status) => {
                    failures = if since.elapsed() > LONG {
                        1
                    } else {
                        failures + 1
                    };
                    let how = status.map_or("it was cut off".to_owned(), |it| it.to_string());
                    say(&format!(
                        "The hypervisor of `{}` failed ({how})",
                        self.told.name
                    ));
                    match self.again(failures) {
                        Some(child) => running = Running::Child(child),
                        None => break,
                    }
                }
            }
        }
        self.take_down();
        Ok(())
    }

    /// A hypervisor that another keeper left, or that somebody started by hand.
    fn found(&self) -> Option<Process> {
        Part::Hypervisor
            .process(&self.run, &self.told.name)
            .or_else(|| Process::of_lock(Path::new("."), &self.told.name))
    }

    /// Of one that was another keeper's child, whether it left its socket behind: hypervisors take
    /// theirs away when they end by themselves. Firecracker never does, so that nothing is known.
    fn was_cut_off(&self) -> bool {
        let text = std::fs::read_to_string(self.told.package.join("share/microvm/spec.json"));
        let runner = text.ok().and_then(|text| Runner::parse(&text).ok());
        let Some(vm) = runner.map(|runner| runner.named(self.told.name.clone()).vm) else {
            return false;
        };
        let control = Control::of(&vm, Path::new(""));
        let is_there = |socket: &&Path| {
            use std::os::unix::fs::FileTypeExt;
            std::fs::symlink_metadata(socket).is_ok_and(|meta| meta.file_type().is_socket())
        };
        vm.hypervisor != Hypervisor::Firecracker
            && control.api != Api::None
            && control.sockets().first().is_some_and(is_there)
    }

    fn bring_up(&self) -> Result<(), Error> {
        for command in ["tap-up", "macvtap-up", "pci-setup"] {
            self.run_command(command)?;
        }
        self.attach_taps()?;
        shares::start(&self.told, &self.run, &self.own)
    }

    /// Taps come onto the host's networks, where it has some.
    fn attach_taps(&self) -> Result<(), Error> {
        if !self.told.package.join("bin/tap-up").exists() {
            return Ok(());
        }
        let mut command = Command::new(&self.own);
        command.args(["network", "attach", "--state-dir"]);
        command.arg(self.fleet.dir()).arg(&*self.told.name);
        self.run_to_end(command, "microvm network attach")
    }

    /// Stops what the hypervisor needed; what cannot be is said, and the rest done.
    fn take_down(&self) {
        self.settle();
        shares::stop(&self.run, &self.told.name);
        for command in ["macvtap-down", "tap-down"] {
            if let Err(error) = self.run_command(command) {
                say(&error.to_string());
            }
        }
        RunLock::remove_ended(Path::new("."), &self.told.name);
        for part in [Part::Hypervisor, Part::Shares, Part::Keeper] {
            let lock = part.lock_name(&self.told.name);
            if part == Part::Keeper {
                // Held by this process: nobody can find another one under it.
                let _ = std::fs::remove_file(self.run.join(format!("{lock}.lock")));
            } else {
                RunLock::remove_ended(&self.run, &lock);
            }
        }
        if let Err(error) = self.fleet.clear_booted(&self.told.name) {
            say(&error.to_string());
        }
    }

    /// A command of the package, where it has it, as who this process is.
    fn run_command(&self, name: &str) -> Result<(), Error> {
        let program = self.told.package.join("bin").join(name);
        if !program.exists() {
            return Ok(());
        }
        self.run_to_end(Command::new(&program), name)
    }

    fn run_to_end(&self, mut command: Command, name: &str) -> Result<(), Error> {
        let status = command
            .env("MICROVM_STATE_DIR", self.fleet.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|source| Error::Run {
                program: command.get_program().into(),
                source,
            })?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Program {
                program: name.to_owned(),
                status,
            }),
        }
    }

    fn event(&self, running: &mut Running) -> Event {
        loop {
            if let Some(status) = running.ended() {
                return Event::Ended(status);
            }
            // A child that ends is a signal; of another process the end must be looked for.
            let tick = match running {
                Running::Child(_) => Duration::from_secs(60),
                Running::Found(_) => Duration::from_secs(1),
            };
            match self.signals.wait(Some(tick)) {
                Ok(Some(Signal::SIGTERM | Signal::SIGINT)) => return Event::Stop,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => self.log.trim(),
            }
        }
    }
}
