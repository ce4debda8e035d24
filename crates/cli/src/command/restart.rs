//! `microvm restart`: stops VMs and starts what is current.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::Several;
use crate::service;

/// Stop VMs of this host, and start what is current of them
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    vms: Several,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        self.vms.each(service::restart)
    }
}
