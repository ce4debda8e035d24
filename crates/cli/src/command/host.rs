//! `microvm host`: what a host with systemd needs, and what its units call.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use host::service::Systemd;
use host::service::units;

use crate::error::{Kind, OrKind, Result, succeeded};
use crate::fleet::{self, StateDir};
use crate::networks;
use crate::places::Places;
use crate::service;
use crate::session_key;
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
        /// How long a VM may take to start [default: 150, or what is installed]
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
        startup_timeout: Option<u32>,
        /// Whether a VM has started when its guest says so, where it has `vsock.cid`, and not as
        /// soon as its hypervisor runs [default: false, or what is installed]
        #[arg(long, value_name = "BOOL")]
        use_notify_sockets: Option<bool>,
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
    Register {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    #[command(hide = true)]
    Unregister {
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
            Command::Install {
                root,
                startup_timeout,
                use_notify_sockets,
                state,
            } => {
                let there = units::start_of(root.as_deref().unwrap_or(Path::new("/")));
                let start = units::Start {
                    timeout_secs: startup_timeout.unwrap_or(there.timeout_secs),
                    waits_for_guest: use_notify_sockets.unwrap_or(there.waits_for_guest),
                };
                install(root, &state, start)?;
            }
            Command::Uninstall { root } => uninstall(root)?,
            Command::RunUnit { name, state } => {
                let name = host::fleet::name(&name)?;
                let fleet = host::fleet::Fleet::new(&state.path(), host::fleet::Owner::here())?;
                let member = fleet::member(&fleet, &name)?;
                let package = member.booted.unwrap_or(member.current).into_path();
                let error = host::service::run_as_unit(&member.dir, &name, &package);
                return Err(error.into());
            }
            Command::Register { name, state } => machine("microvm-register", &name, &state)?,
            Command::Unregister { name, state } => machine("microvm-unregister", &name, &state)?,
            Command::Settle { name, state } => {
                let name = host::fleet::name(&name)?;
                host::service::settle(&state.path().join(&*name), &name);
            }
            Command::SetBooted { name, state } => {
                let name = host::fleet::name(&name)?;
                let fleet = state.open()?;
                fleet::keep_from_gc(&fleet, &name, &Places::of_this_user())?;
                session_key::renew(&fleet, &name, fleet::member(&fleet, &name)?.current.path());
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

/// What the package that runs has for systemd-machined, if it has that.
fn machine(verb: &str, name: &str, state: &StateDir) -> Result<()> {
    let name = host::fleet::name(name)?;
    let fleet = host::fleet::Fleet::new(&state.path(), host::fleet::Owner::here())?;
    let member = fleet::member(&fleet, &name)?;
    let package = member.booted.unwrap_or(member.current).into_path();
    let program = package.join("bin").join(verb);
    if !program.exists() {
        return Ok(());
    }
    let status = std::process::Command::new(&program)
        // Packages of another program take themselves for the VM without it.
        .args(std::env::var_os("MAINPID"))
        .current_dir(&member.dir)
        .status()
        .or_kind(Kind::Missing)?;
    succeeded(verb, status, Kind::Other)
}

fn install(root: Option<PathBuf>, state: &StateDir, start: units::Start) -> Result<()> {
    let program = std::env::current_exe().or_kind(Kind::Other)?;
    let units = units::units(&state.path(), &program, start)?;
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
