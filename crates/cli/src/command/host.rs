//! `microvm host`: what a host with systemd needs, and what its units call.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use host::service::Systemd;
use host::service::units;

use crate::error::{Kind, OrKind, Result};
use crate::fleet::{self, StateDir};
use crate::networks;
use crate::places::Places;
use crate::service;
use crate::verbs::say;

/// Prepare this host: units of systemd, and the user that hypervisors run as
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install units, user and modules; those that are there already stay as they are
    Install {
        /// Write below this directory, and change nothing else
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        #[command(flatten)]
        state: StateDir,
    },
    /// Remove what `install` wrote, and the networks; VMs and their data stay
    Uninstall {
        /// Remove below this directory, and change nothing else
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// What microvm@.service starts
    #[command(hide = true)]
    RunUnit {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    #[command(hide = true)]
    Settle {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    #[command(hide = true)]
    SetBooted {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    #[command(hide = true)]
    ClearBooted {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Install { root, state } => install(root, &state)?,
            Command::Uninstall { root } => uninstall(root)?,
            Command::RunUnit { name, state } => {
                let name = host::fleet::name(&name)?;
                let fleet = host::fleet::Fleet::new(&state.path(), host::fleet::Owner::here())?;
                let member = fleet::member(&fleet, &name)?;
                let package = member.booted.unwrap_or(member.current).into_path();
                let error = host::service::run_as_unit(&member.dir, &name, &package);
                return Err(error.into());
            }
            Command::Settle { name, state } => {
                let name = host::fleet::name(&name)?;
                host::service::settle(&state.path().join(&*name), &name);
            }
            Command::SetBooted { name, state } => {
                let name = host::fleet::name(&name)?;
                let fleet = state.open()?;
                fleet::keep_from_gc(&fleet, &name, &Places::of_this_user())?;
                fleet.set_booted(&name)?;
            }
            Command::ClearBooted { name, state } => {
                let name = host::fleet::name(&name)?;
                state.open()?.clear_booted(&name)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn install(root: Option<PathBuf>, state: &StateDir) -> Result<()> {
    let program = std::env::current_exe().or_kind(Kind::Other)?;
    let units = units::units(&state.path(), &program)?;
    let target = root.clone().unwrap_or_else(|| "/".into());
    let changed = units::install(&target, &units)?;
    changed
        .iter()
        .for_each(|path| println!("{}", path.display()));
    if root.is_some() {
        return Ok(());
    }
    host::service::make_user()?;
    if let Some(systemd) = Systemd::here() {
        systemd.reload()?;
        systemd.enable_targets()?;
        let fleet = state.open()?;
        networks::enable_all(&fleet)?;
        service::enable_all(&systemd, &fleet)?;
    } else {
        say(
            "systemd is not what this host was started with; `microvm start` keeps VMs itself"
                .to_owned(),
        );
    }
    Ok(())
}

fn uninstall(root: Option<PathBuf>) -> Result<()> {
    let target = root.clone().unwrap_or_else(|| "/".into());
    let systemd = Systemd::here().filter(|_| root.is_none());
    let state = units::installed_for(&target);
    if let (Some(systemd), Some(state)) = (&systemd, &state) {
        service::disable_all(systemd, &fleet::open(state)?)?;
    }
    if root.is_none() {
        let state = state.unwrap_or_else(crate::places::state_dir);
        networks::remove_all(&fleet::open(&state)?)?;
    }
    if let Some(systemd) = &systemd {
        systemd.disable_targets()?;
    }
    let removed = units::uninstall(&target)?;
    removed
        .iter()
        .for_each(|path| println!("{}", path.display()));
    if let Some(systemd) = systemd {
        systemd.reload()?;
    }
    Ok(())
}
