//! `microvm run`: builds what changed, and runs it in this terminal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::Result;
use crate::flake::Flake;
use crate::foreign;
use crate::nested;
use crate::package;
use crate::places::{self, Places};
use crate::reference::Reference;
use crate::runner::Runner;
use crate::running;

/// Build a VM and run it in this terminal
#[derive(clap::Args)]
pub struct Args {
    /// `SOURCE#NAME`, or the path of a runner package; without `#NAME` the only VM of the source
    #[arg(value_name = "REF", default_value = ".")]
    reference: Reference,

    /// Run an installed VM of this host instead, in its own directory
    #[arg(long, value_name = "NAME", conflicts_with_all = ["reference", "update"])]
    installed: Option<String>,

    /// Where volumes, sockets and relative shares are [default: .]; of an installed VM, the state
    /// directory of the host's
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Resolve packages anew instead of taking what `microvm.lock` pins
    #[arg(long)]
    update: bool,

    /// Appended to the arguments of the hypervisor
    #[arg(last = true, value_name = "HYPERVISOR ARGS")]
    extra: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        if let Some(name) = &self.installed {
            return self.run_installed(name);
        }
        if let Some(path) = package::of_path(&self.reference) {
            return self.start(&path);
        }
        let places = Places::of_this_user();
        if nested::is(&self.reference, &places)? {
            let state = self.state_dir.as_deref().unwrap_or(Path::new("."));
            return nested::run(state, &places, self.update, &self.extra);
        }
        if let Some(flake) = Flake::of(&self.reference.source, &places)? {
            return self.run_flake(&flake, &places);
        }
        let package = super::build::build(&self.reference, &places, self.update)?;
        let _kept = running::keep(&package.store, &package.path)?;
        self.start(&package.path)
    }

    fn start(&self, package: &Path) -> Result<ExitCode> {
        let state = self.state_dir.as_deref().unwrap_or(Path::new("."));
        if !package::is_own(package) {
            return Err(foreign::become_runner(package, state, &self.extra));
        }
        Runner::in_directory(package, state)?.supervise(state, &self.extra)
    }

    fn run_flake(&self, flake: &Flake, places: &Places) -> Result<ExitCode> {
        if self.update {
            flake.update_inputs()?;
        }
        let name = flake.pick(self.reference.name.as_deref())?;
        // Held, and so kept from Nix's collector, as long as the VM runs.
        let built = flake.build(&name, None, places)?;
        self.start(&built.path)
    }

    fn run_installed(&self, name: &str) -> Result<ExitCode> {
        let name = host::fleet::name(name)?;
        let state = self.state_dir.clone().unwrap_or_else(places::state_dir);
        let fleet = crate::fleet::open(&state)?;
        let member = crate::fleet::member(&fleet, &name)?;
        crate::fleet::keep_from_gc(&fleet, &name, &Places::of_this_user())?;
        let package = fleet.set_booted(&name)?;
        let ended =
            Runner::in_directory(&package, &member.dir)?.supervise(&member.dir, &self.extra);
        // While another run goes on, it is that one's.
        if !fleet.runs(&name) {
            fleet.clear_booted(&name)?;
        }
        ended
    }
}
