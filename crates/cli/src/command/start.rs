//! `microvm start`: starts VMs of this host as services.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::service;

/// Start VMs of this host, and wait until they run
#[derive(clap::Args)]
pub struct Args {
    /// Names of the VMs
    #[arg(required_unless_present = "autostart", value_name = "NAME")]
    names: Vec<String>,

    /// All that are to start with the host
    #[arg(long, conflicts_with = "names")]
    autostart: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let mut names = fleet::names(&self.names)?;
        let fleet = self.state.open()?;
        if self.autostart {
            names = fleet.names()?;
            names.retain(|name| fleet.member(name).is_ok_and(|member| member.autostart));
        }
        fleet::for_each_at_once(&names, |name| service::start(&fleet, name))
    }
}
