//! `microvm status`: what VMs that run are doing.

use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::verbs;

/// Show what a VM that runs is doing, or all that run in a state directory
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        verbs::status(&self.which.find_all()?, self.json)
    }
}
