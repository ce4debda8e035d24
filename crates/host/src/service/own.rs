//! Where no systemd looks after VMs: a keeper for each, started by who starts the VM.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;
use spec::names::VmName;

use super::keeper::{Outcome, Told};
use super::part::Part;
use super::{Ended, Error, KEEPER_COMMAND, Log, STARTUP_TIMEOUT};
use crate::fleet::Fleet;
use crate::lock::RunLock;
use crate::spawn;

/// The supervisor that is built in.
#[derive(Debug)]
pub struct Own {
    fleet: Fleet,
    program: PathBuf,
}

/// Longest that a stop may take: the guest's own time, and then every escalation.
const STOP: Duration = Duration::from_secs(120);

impl Own {
    pub fn new(fleet: &Fleet, program: &Path) -> Self {
        Self {
            fleet: fleet.clone(),
            program: program.to_owned(),
        }
    }

    /// Starts a keeper and waits until it says that the VM runs. One whose keeper was killed
    /// gets another.
    pub fn start(&self, name: &VmName) -> Result<bool, Error> {
        let run = self.fleet.own("run")?;
        if Part::Keeper.process(&run, name).is_some() {
            return Ok(false);
        }
        let runs = self.runs(&run, name)?;
        if !runs {
            self.fleet.set_booted(name)?;
        }
        let result = self.keep(name);
        // Somebody else may have been faster.
        let is_kept = || Part::Keeper.process(&run, name).is_some();
        if result.is_err() && !runs && !is_kept() {
            let _ = self.fleet.clear_booted(name);
        }
        result.map(|()| !runs)
    }

    /// Stops a VM, whoever started it, and says how it went.
    pub fn stop(&self, name: &VmName) -> Result<Ended, Error> {
        let run = self.fleet.own("run")?;
        if Part::Keeper.process(&run, name).is_none() {
            if !self.runs(&run, name)? {
                return Ok(Ended::NotRunning);
            }
            self.keep(name)?;
        }
        let Some(keeper) = Part::Keeper.process(&run, name) else {
            return Ok(Ended::NotRunning);
        };
        Outcome::forget(&run, name);
        keeper.signal(Signal::TERM);
        if !keeper.wait(STOP) {
            return Err(Error::StillRunning {
                name: name.to_string(),
                seconds: STOP.as_secs(),
            });
        }
        Ok(match Outcome::read(&run, name) {
            Some(Outcome::Escalated) => Ended::Escalated,
            _ => Ended::Graceful,
        })
    }

    /// Ends a keeper that waits before it starts a VM again.
    pub fn give_up(&self, name: &VmName) -> Result<(), Error> {
        let run = self.fleet.own("run")?;
        match Part::Keeper.process(&run, name) {
            Some(_) => self.stop(name).map(|_| ()),
            None => Ok(()),
        }
    }

    /// A hypervisor that runs may still be without its own lock.
    fn runs(&self, run: &Path, name: &VmName) -> Result<bool, Error> {
        let part = Part::Hypervisor.process(run, name).is_some();
        Ok(part || self.fleet.member(name)?.runs)
    }

    fn keep(&self, name: &VmName) -> Result<(), Error> {
        let run = self.fleet.own("run")?;
        self.fleet.own("logs")?;
        let log = Log::of(&self.fleet, name);
        let output = log.open()?;
        let from = log.length();
        let member = self.fleet.member(name)?;
        let package = member.booted.unwrap_or(member.current).into_path();
        let told = Told {
            fleet: self.fleet.dir().to_owned(),
            name: name.clone(),
            package,
        };
        let mut child = self.spawn(&told, output)?;
        let said = first_line(&mut child);
        match said.as_deref() {
            Some("ready") => Ok(()),
            Some(why) if !why.is_empty() => Err(failed(name, why)),
            Some(_) => Err(failed(name, &log.last_words(from))),
            None => Err(Error::Slow {
                name: name.to_string(),
                seconds: STARTUP_TIMEOUT.as_secs(),
            }),
        }
        .inspect_err(|_| RunLock::remove_ended(&run, &Part::Keeper.lock_name(name)))
    }

    fn spawn(&self, told: &Told, log: std::fs::File) -> Result<Child, Error> {
        let failed = |source| Error::Run {
            program: self.program.clone(),
            source,
        };
        let told = serde_json::to_string(told).map_err(|error| failed(error.into()))?;
        let mut command = Command::new(&self.program);
        command.arg0("microvm-keeper").arg(KEEPER_COMMAND).arg(told);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        spawn::with_all_signals(&mut command);
        spawn::in_a_session_of_its_own(&mut command);
        command.spawn().map_err(failed)
    }
}

fn failed(name: &VmName, said: &str) -> Error {
    Error::Start {
        name: name.to_string(),
        said: said.to_owned(),
    }
}

/// What a keeper says first; nothing where it ended without a word, `None` where it is slow.
fn first_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(line.trim().to_owned());
    });
    receiver.recv_timeout(STARTUP_TIMEOUT).ok()
}
