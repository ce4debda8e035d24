//! `microvm stop`: has guests shut themselves down.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::Several;
use crate::service;

/// Have VMs of this host shut themselves down, and wait; those that do not are ended
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    vms: Several,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        self.vms.each(service::stop)
    }
}
