//! `microvm pause`: stops the processors of a VM that runs.

use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::verbs;

/// Stop the processors of a VM until `microvm resume`
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        verbs::pause(&self.which.find()?)
    }
}
