//! `microvm shutdown`: asks a guest to shut itself down, and waits.

use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::verbs;

/// Ask the guest to shut itself down, wait, and end it if it does not
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        verbs::shutdown(&self.which.find()?)
    }
}
