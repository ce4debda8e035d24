//! `microvm console`: joins this terminal to a console.

use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::verbs;

/// Join this terminal to the console of a VM that runs; Ctrl-] leaves it
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        verbs::console(&self.which.find()?)
    }
}
