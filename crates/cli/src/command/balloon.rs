//! `microvm balloon`: takes memory from a guest, or gives it back.

use std::num::NonZeroU64;
use std::process::ExitCode;

use crate::error::Result;
use crate::live::Which;
use crate::verbs;

/// Leave a guest so much memory, and print what it is left with
#[derive(clap::Args)]
pub struct Args {
    /// Memory to leave the guest, in MiB
    #[arg(value_name = "SIZE")]
    size: NonZeroU64,

    #[command(flatten)]
    which: Which,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        verbs::balloon(&self.which.find()?, self.size.get())
    }
}
