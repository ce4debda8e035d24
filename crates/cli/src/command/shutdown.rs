//! `microvm shutdown`: asks a guest to shut itself down, and waits.

use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::service;
use crate::verbs;

/// Ask the guest to shut itself down, wait, and end it if it does not
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let found = self.which.look()?;
        match found.installed {
            // Its keeper, or systemd, is to know that this was wanted.
            Some((fleet, name)) => service::stop(&fleet, &name).map(|()| ExitCode::SUCCESS),
            None => verbs::shutdown(&found.control),
        }
    }
}
