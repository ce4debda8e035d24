//! Finds a VM that runs by its name and its state directory: its lock says how it is spoken to.

use std::path::{Path, PathBuf};

use backend::control::Control;
use host::fleet::Fleet;
use host::lock::RunLock;
use spec::names::VmName;

use crate::error::{Error, Kind, OrKind, Result};
use crate::places;
use crate::runner::Runner;

/// Which VM a command is for.
#[derive(clap::Args)]
pub struct Which {
    /// Name of the VM, or `SOURCE#NAME`; without it the only one that runs there
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Where it runs, or the state directory of a host [default: the current directory, then
    /// /var/lib/microvms]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// A VM that was found, and how it is spoken to.
pub struct Found {
    pub control: Control,
    /// Where it is one of the state directory.
    pub installed: Option<(Fleet, VmName)>,
}

impl Which {
    /// Enters the state directory and finds the one VM that is meant.
    pub fn find(&self) -> Result<Control> {
        Ok(self.look()?.control)
    }

    /// The same, with where it belongs.
    pub fn look(&self) -> Result<Found> {
        if let Some(installed) = self.installed()? {
            return Self::of_installed(installed);
        }
        self.enter()?;
        let control = match self.name() {
            Some(name) => described(name).ok_or_else(|| self.not_running(name))?,
            None => self.only()?,
        };
        Ok(Found {
            control,
            installed: None,
        })
    }

    /// All that run there, or the one that is named, whether it runs or not; each with its
    /// directory. Where none runs in the directory itself, those that are installed below it.
    pub fn find_all(&self) -> Result<Vec<(PathBuf, Control)>> {
        if self.name().is_some() {
            let control = self.find()?;
            return Ok(vec![(
                std::env::current_dir().or_kind(Kind::Other)?,
                control,
            )]);
        }
        let here = std::path::absolute(self.dir()).or_kind(Kind::NotFound)?;
        self.enter()?;
        let running = RunLock::running(Path::new("."));
        let controls = running.iter().filter_map(|name| described(name));
        let found: Vec<_> = controls.map(|control| (here.clone(), control)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        self.all_installed(here)
    }

    fn all_installed(&self, here: PathBuf) -> Result<Vec<(PathBuf, Control)>> {
        let state = match self.state_dir {
            Some(_) => here,
            None => places::state_dir(),
        };
        let fleet = crate::fleet::open(&state)?;
        let mut found = Vec::new();
        for name in fleet.names()? {
            let member = fleet.member(&name)?;
            if member.runs {
                let runner = Runner::in_directory(member.in_use().path(), &member.dir)?;
                found.push((member.dir, runner.control()));
            }
        }
        Ok(found)
    }

    /// One of the state directory, where no VM of that name runs in the current directory.
    fn installed(&self) -> Result<Option<(Fleet, VmName)>> {
        let Some(name) = self.name() else {
            return Ok(None);
        };
        let Ok(name) = VmName::try_from(name.to_owned()) else {
            return Ok(None);
        };
        let dir = match &self.state_dir {
            Some(dir) => dir.clone(),
            None if RunLock::described(Path::new("."), &name).is_some() => return Ok(None),
            None => places::state_dir(),
        };
        let fleet = crate::fleet::open(&dir)?;
        let found = fleet.find(&name)?.is_some();
        Ok(found.then_some((fleet, name)))
    }

    /// What its package says counts: a lock is written by a hypervisor, which root does not
    /// follow.
    fn of_installed((fleet, name): (Fleet, VmName)) -> Result<Found> {
        let member = fleet.member(&name)?;
        enter(&member.dir)?;
        let control = Runner::in_directory(member.in_use().path(), Path::new("."))?.control();
        Ok(Found {
            control,
            installed: Some((fleet, name)),
        })
    }

    fn name(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        Some(name.rsplit_once('#').map_or(name, |(_, name)| name))
    }

    fn dir(&self) -> &Path {
        self.state_dir.as_deref().unwrap_or(Path::new("."))
    }

    fn enter(&self) -> Result<()> {
        enter(self.dir())
    }

    fn only(&self) -> Result<Control> {
        let names = RunLock::running(Path::new("."));
        let here = self.dir().display();
        match names.as_slice() {
            [only] => described(only).ok_or_else(|| self.not_running(only)),
            [] => Err(format!("No VM runs in `{here}`"))
                .or_kind(Kind::NotFound)
                .map_err(|error: Error| error.hint("`--state-dir DIR` names another place")),
            several => {
                let names: Vec<&str> = several.iter().map(String::as_str).collect();
                let listed = crate::command::listed(&names);
                let message = format!("Several VMs run in `{here}`: {listed}; name one");
                Err(Error::new(Kind::Usage, message))
            }
        }
    }

    fn not_running(&self, name: &str) -> Error {
        let here = self.dir().display();
        let error = Error::new(Kind::NotFound, format!("`{name}` does not run in `{here}`"));
        match RunLock::running(Path::new(".")).as_slice() {
            [] => error.hint("`--state-dir DIR` names another place"),
            others => {
                let names: Vec<&str> = others.iter().map(String::as_str).collect();
                error.hint(format!("{} runs there", crate::command::listed(&names)))
            }
        }
    }
}

fn enter(dir: &Path) -> Result<()> {
    std::env::set_current_dir(dir).map_err(|error| {
        let state = dir.display();
        let message = format!("The state directory `{state}` cannot be entered: {error}");
        Error::new(Kind::NotFound, message)
    })
}

/// A name that is no name of a VM has no lock.
fn described(name: &str) -> Option<Control> {
    let name: spec::names::VmName = name.to_owned().try_into().ok()?;
    RunLock::described(Path::new("."), &name)
}
