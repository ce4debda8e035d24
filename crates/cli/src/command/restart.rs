//! `microvm restart`: stops VMs and starts what is current.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::service;

/// Stop VMs of this host, and start what is current of them
#[derive(clap::Args)]
pub struct Args {
    /// Names of the VMs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let names = fleet::names(&self.names)?;
        let fleet = self.state.open()?;
        fleet::for_each_at_once(&names, |name| service::restart(&fleet, name))
    }
}
