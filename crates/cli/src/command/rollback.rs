//! `microvm rollback`: back to the version before.

use std::process::ExitCode;

use crate::difference::Difference;
use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::places::Places;
use crate::service;

/// Have a VM start the version before this one; once more leads back
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM
    name: String,

    /// Restart it where it runs
    #[arg(short = 'R', long)]
    restart: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let fleet = self.state.open()?;
        let before = fleet::member(&fleet, &name)?;
        fleet::keep_from_gc(&fleet, &name, &Places::of_this_user())?;
        let package = fleet.rollback(&name)?;
        service::allow_paths(&fleet, &name)?;
        let difference = Difference::between(before.current.path(), &package);
        print!("{name}: rolled back\n{difference}");
        let after = fleet::member(&fleet, &name)?;
        if self.restart && after.runs && after.is_behind() {
            service::restart(&fleet, &name)?;
        } else if after.is_behind() {
            eprintln!(
                "hint: `{name}` runs on as it is; `microvm restart {name}` starts this version"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
