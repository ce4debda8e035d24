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
        self.call("start", &[unit(name)])
            .map_err(|error| match error {
                Error::Program { .. } => Error::Start {
                    name: name.to_string(),
                    said: format!("`{}` failed", unit(name)),
                },
                other => other,
            })
    }

    pub fn stop(&self, name: &VmName) -> Result<Ended, Error> {
        if !self.is_active(name) {
            return Ok(Ended::NotRunning);
        }
        self.call("stop", &[unit(name)])?;
        // What `ExecStop` ended with, if it was not graceful.
        Ok(match self.has_failed(name) {
            true => Ended::Escalated,
            false => Ended::Graceful,
        })
    }

    /// Has a VM start with `microvms.target`.
    pub fn enable(&self, name: &VmName, on: bool) -> Result<(), Error> {
        let verb = if on { "enable" } else { "disable" };
        self.call(verb, &["--quiet".to_owned(), unit(name)])
    }

    pub fn reload(&self) -> Result<(), Error> {
        self.call("daemon-reload", &[])
    }

    pub fn enable_target(&self) -> Result<(), Error> {
        self.call(
            "enable",
            &["--quiet".to_owned(), "microvms.target".to_owned()],
        )
    }

    pub fn disable_target(&self) -> Result<(), Error> {
        self.call(
            "disable",
            &["--quiet".to_owned(), "microvms.target".to_owned()],
        )
    }

    /// Prints a VM's journal to our own standard output.
    pub fn print_log(
        &self,
        name: &VmName,
        lines: Option<usize>,
        follow: bool,
    ) -> Result<(), Error> {
        let program = program::find("journalctl").map_err(|missing| Error::Run {
            program: missing.program.into(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let mut command = Command::new(&program);
        command.args(["--no-pager", "--output=short-iso", "--unit"]);
        command.arg(unit(name));
        if let Some(lines) = lines {
            command.arg(format!("--lines={lines}"));
        }
        if follow {
            command.arg("--follow");
        }
        run(command, "journalctl", &program)
    }

    fn is_active(&self, name: &VmName) -> bool {
        self.asks("is-active", name)
    }

    fn has_failed(&self, name: &VmName) -> bool {
        self.asks("is-failed", name)
    }

    fn asks(&self, question: &str, name: &VmName) -> bool {
        let mut command = self.command(question);
        command.args(["--quiet", "--", &unit(name)]);
        command.status().is_ok_and(|status| status.success())
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
