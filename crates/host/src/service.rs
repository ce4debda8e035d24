//! Starts and stops the VMs of a state directory: through systemd where it runs and has our
//! units, else through a keeper of ours for each VM. A keeper that is killed leaves its VM running.

mod account;
mod keeper;
mod log;
pub mod machine;
mod own;
mod part;
mod ready;
pub mod sandbox;
pub mod sight;
pub mod systemd;
pub mod units;

use std::path::{Path, PathBuf};
use std::time::Duration;

use spec::names::VmName;

use crate::fleet::{self, Fleet};
use crate::kind::Kind;
use crate::lock;

pub use account::{Account, make_user};
pub use keeper::keeper_main;
pub use log::Log;
pub use own::Own;
pub use part::{Part, part_main};
pub use ready::{WATCH_COMMAND, leave_watcher, run_as_unit, settle, watch};
pub use systemd::Systemd;

/// The `microvm` binary's own commands: the keeper of a VM, and what becomes a part of one.
pub const KEEPER_COMMAND: &str = "vm-keeper";
pub const PART_COMMAND: &str = "vm-part";

/// Longest that a VM may take until it runs, unless somebody says otherwise.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(150);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error("`{name}` cannot be started: {said}")]
    Start { name: String, said: String },
    #[error("`{name}` did not run after {seconds} s; it goes on starting")]
    Slow { name: String, seconds: u64 },
    #[error("`{name}` has not stopped after {seconds} s")]
    StillRunning { name: String, seconds: u64 },
    #[error("`{program}` ended with {status}")]
    Program {
        program: String,
        status: std::process::ExitStatus,
    },
    #[error("`{}` cannot be run", .program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("`{name}` has said nothing yet: there is no `{}`", .path.display())]
    NoLog { name: String, path: PathBuf },
    #[error("Cannot {action} `{}`", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Fleet(error) => error.kind(),
            Self::Lock(error) => error.kind(),
            Self::Start { .. } | Self::Slow { .. } | Self::StillRunning { .. } => Kind::Hypervisor,
            Self::Program { .. } => Kind::Other,
            Self::Run { .. } => Kind::Missing,
            Self::NoLog { .. } => Kind::NotFound,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

/// How a VM that was to stop did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    NotRunning,
    Graceful,
    /// The guest did not shut itself down in time.
    Escalated,
}

/// What looks after the VMs of a state directory.
#[derive(Debug)]
pub enum Services {
    Systemd(Systemd),
    Own(Own),
}

impl Services {
    /// systemd, where it runs and its units are for this very directory. `program` is the
    /// `microvm` binary.
    pub fn of(fleet: &Fleet, program: &Path) -> Self {
        match Systemd::with_units_for(fleet.dir()) {
            Some(systemd) => Self::Systemd(systemd),
            None => Self::Own(Own::new(fleet, program)),
        }
    }

    /// Starts a VM and waits until it runs. `false`: it ran already.
    pub fn start(&self, fleet: &Fleet, name: &VmName) -> Result<bool, Error> {
        let runs = fleet.member(name)?.runs;
        match self {
            Self::Systemd(_) if runs => Ok(false),
            Self::Systemd(systemd) => systemd.start(name).map(|()| true),
            Self::Own(own) => own.start(name),
        }
    }

    /// Has the guest shut itself down, within a bound, and ends it where it does not.
    pub fn stop(&self, fleet: &Fleet, name: &VmName) -> Result<Ended, Error> {
        fleet.member(name)?;
        match self {
            Self::Systemd(systemd) => systemd.stop(name),
            Self::Own(own) => own.stop(name),
        }
    }

    /// Has nobody start it again: one that failed may be about to be.
    pub fn give_up(&self, name: &VmName) -> Result<(), Error> {
        match self {
            Self::Systemd(systemd) => systemd.stop(name).map(|_| ()),
            Self::Own(own) => own.give_up(name),
        }
    }

    /// Has a VM start with the host, or no longer.
    pub fn set_autostart(&self, fleet: &Fleet, name: &VmName, on: bool) -> Result<(), Error> {
        fleet.set_autostart(name, on)?;
        match self {
            Self::Systemd(systemd) => systemd.enable(name, on),
            Self::Own(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
