//! Finds a VM that runs by its name and its state directory: its lock says how it is spoken to.

use std::path::{Path, PathBuf};

use backend::control::Control;
use host::lock::RunLock;

use crate::error::{Error, Kind, OrKind, Result};

/// Which VM a command is for.
#[derive(clap::Args)]
pub struct Which {
    /// Name of the VM, or `SOURCE#NAME`; without it the only one that runs there
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Where it runs
    #[arg(long, value_name = "DIR", default_value = ".")]
    state_dir: PathBuf,
}

impl Which {
    /// Enters the state directory and finds the one VM that is meant.
    pub fn find(&self) -> Result<Control> {
        self.enter()?;
        match self.name() {
            Some(name) => described(name).ok_or_else(|| self.not_running(name)),
            None => self.only(),
        }
    }

    /// All that run there, or the one that is named, whether it runs or not.
    pub fn find_all(&self) -> Result<Vec<Control>> {
        self.enter()?;
        match self.name() {
            Some(name) => {
                let found = described(name).ok_or_else(|| self.not_running(name))?;
                Ok(vec![found])
            }
            None => Ok(RunLock::running(Path::new("."))
                .iter()
                .filter_map(|name| described(name))
                .collect()),
        }
    }

    fn name(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        Some(name.rsplit_once('#').map_or(name, |(_, name)| name))
    }

    fn enter(&self) -> Result<()> {
        std::env::set_current_dir(&self.state_dir).map_err(|error| {
            let state = self.state_dir.display();
            let message = format!("The state directory `{state}` cannot be entered: {error}");
            Error::new(Kind::NotFound, message)
        })
    }

    fn only(&self) -> Result<Control> {
        let names = RunLock::running(Path::new("."));
        let here = self.state_dir.display();
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
        let here = self.state_dir.display();
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

/// A name that is no name of a VM has no lock.
fn described(name: &str) -> Option<Control> {
    let name: spec::names::VmName = name.to_owned().try_into().ok()?;
    RunLock::described(Path::new("."), &name)
}
