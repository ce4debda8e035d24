//! `microvm logs`: what a VM of this host said.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::service;

/// Show what a VM of this host said: its console, and what its hypervisor had to say
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM
    name: String,

    /// Go on with what is said from now on, until the VM ends
    #[arg(short = 'f', long)]
    follow: bool,

    /// Begin with the last lines
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,

    /// As JSON: an object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let fleet = self.state.open()?;
        fleet::member(&fleet, &name)?;
        service::print_log(&fleet, &name, self.lines, self.follow, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
