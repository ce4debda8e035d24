//! `microvm resume`: lets a paused VM go on.

use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::verbs;

/// Let a paused VM go on
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        verbs::resume(&self.which.find()?)
    }
}
