//! systemd as what looks after VMs: through systemctl(1) and journalctl(1), which take names as
//! arguments and no shell's text.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use spec::names::VmName;

use super::{Ended, Error, units};
use crate::program;

/// The running systemd of this host.
#[derive(Debug)]
pub struct Systemd {
    systemctl: PathBuf,
}

impl Systemd {
    /// Where systemd is what the host was started with, and has units for that state directory.
    pub fn with_units_for(state: &Path) -> Option<Self> {
        let ours = units::installed_for(Path::new("/"));
        (ours.as_deref() == Some(state)).then(Self::here)?
    }

    /// Where systemd is what the host was started with; see sd_booted(3).
    pub fn here() -> Option<Self> {
        if !Path::new("/run/systemd/system").is_dir() {
            return None;
        }
        let systemctl = program::find("systemctl").ok()?;
        Some(Self { systemctl })
    }

    pub fn start(&self, name: &VmName) -> Result<(), Error> {
        let started = self.call("start", &["--quiet".to_owned(), unit(name)]);
        started.map_err(|error| match error {
            Error::Program { .. } => Error::Start {
                name: name.to_string(),
                said: last_words(name).unwrap_or_else(|| format!("`{}` failed", unit(name))),
            },
            other => other,
        })
    }

    pub fn stop(&self, name: &VmName) -> Result<Ended, Error> {
        // One that is about to be started again is to be stopped too.
        if matches!(&*self.state_of(name)?, "inactive" | "failed") {
            return Ok(Ended::NotRunning);
        }
        self.call("stop", &["--quiet".to_owned(), unit(name)])?;
        // What `ExecStop` ended with, if it was not graceful.
        Ok(match &*self.state_of(name)? {
            "failed" => Ended::Escalated,
            _ => Ended::Graceful,
        })
    }

    /// Has a VM start with `microvms.target`.
    pub fn enable(&self, name: &VmName, on: bool) -> Result<(), Error> {
        let verb = if on { "enable" } else { "disable" };
        self.call(verb, &["--quiet".to_owned(), unit(name)])
    }

    /// Does something with one unit, by its whole name.
    pub(crate) fn on(&self, verb: &str, unit: &str) -> Result<(), Error> {
        self.call(verb, &["--quiet".to_owned(), unit.to_owned()])
    }

    /// What was said last of and by a unit.
    pub(crate) fn last_words_of(unit: &str) -> Option<String> {
        last_words_by(&format!("--unit={unit}"))
    }

    pub fn reload(&self) -> Result<(), Error> {
        self.call("daemon-reload", &[])
    }

    pub fn enable_targets(&self) -> Result<(), Error> {
        units::TARGETS
            .iter()
            .try_for_each(|target| self.on("enable", target))
    }

    /// Those that are there.
    pub fn disable_targets(&self) -> Result<(), Error> {
        let mut there = units::TARGETS
            .iter()
            .filter(|target| Path::new("/etc/systemd/system").join(target).exists());
        there.try_for_each(|target| self.on("disable", target))
    }

    /// Prints a VM's journal to our own standard output.
    pub fn print_log(
        &self,
        name: &VmName,
        lines: Option<usize>,
        follow: bool,
        json: bool,
    ) -> Result<(), Error> {
        let program = program::find("journalctl").map_err(|missing| Error::Run {
            program: missing.program.into(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let mut command = Command::new(&program);
        let output = if json { "json" } else { "short-iso" };
        command.args(["--no-pager", &format!("--output={output}"), "--unit"]);
        command.arg(unit(name));
        if let Some(lines) = lines {
            command.arg(format!("--lines={lines}"));
        }
        if follow {
            command.arg("--follow");
        }
        run(command, "journalctl", &program)
    }

    /// Whether a VM's unit has `PrivateTmp=`, which drop-ins may have changed.
    pub(super) fn has_a_tmp_of_its_own(&self, name: &VmName) -> bool {
        let shown = self.property(name, "PrivateTmp");
        shown.is_ok_and(|shown| shown != "no")
    }

    /// `active`, `activating`, `failed` …; see systemd(1).
    fn state_of(&self, name: &VmName) -> Result<String, Error> {
        self.property(name, "ActiveState")
    }

    fn property(&self, name: &VmName, property: &str) -> Result<String, Error> {
        let mut command = self.command("show");
        let property = format!("--property={property}");
        command.args([&property, "--value", "--", &unit(name)]);
        let output = command.output().map_err(|source| Error::Run {
            program: self.systemctl.clone(),
            source,
        })?;
        if !output.status.success() {
            return Err(Error::Program {
                program: "systemctl".to_owned(),
                status: output.status,
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn call(&self, verb: &str, arguments: &[String]) -> Result<(), Error> {
        let mut command = self.command(verb);
        command.args(arguments.iter().map(OsStr::new));
        run(command, "systemctl", &self.systemctl)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.systemctl);
        command.arg("--no-ask-password").arg(verb);
        command.stdin(Stdio::null());
        command
    }
}

/// What a VM said last, without what systemd says of it.
fn last_words(name: &VmName) -> Option<String> {
    last_words_by(&format!("--identifier=microvm@{name}"))
}

fn last_words_by(which: &str) -> Option<String> {
    let mut command = Command::new(program::find("journalctl").ok()?);
    command.args(["--quiet", "--no-pager", "--output=cat", "--lines=3", which]);
    let output = command.stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!said.is_empty()).then_some(said)
}

fn run(mut command: Command, name: &str, program: &Path) -> Result<(), Error> {
    let status = command.status().map_err(|source| Error::Run {
        program: program.to_owned(),
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

/// A name of a VM has no character that systemd escapes but `-`, which in an instance stays.
fn unit(name: &VmName) -> String {
    format!("microvm@{name}.service")
}
