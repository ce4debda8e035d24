//! `microvm run`: builds what changed, and runs it in this terminal.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::Result;
use crate::package::{self, Package};
use crate::places::Places;
use crate::reference::Reference;

/// Build a VM and run it in this terminal
#[derive(clap::Args)]
pub struct Args {
    /// `SOURCE#NAME`, or the path of a runner package; without `#NAME` the only VM of the source
    #[arg(value_name = "REF", default_value = ".")]
    reference: Reference,

    /// Where volumes, sockets and relative shares are
    #[arg(long, value_name = "DIR", default_value = ".")]
    state_dir: PathBuf,

    /// Resolve packages anew instead of taking what `microvm.lock` pins
    #[arg(long)]
    update: bool,

    /// Appended to the arguments of the hypervisor
    #[arg(last = true, value_name = "HYPERVISOR ARGS")]
    extra: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let places = Places::of_this_user();
        let path = match package::of_path(&self.reference) {
            Some(path) => path,
            None => {
                let Package { path, .. } = super::build::build(&self.reference, &places, self.update)?;
                path
            }
        };
        let _kept = package::keep_while_running(&places, &path)?;
        crate::entry::supervise(&path, &self.state_dir, &self.extra, &places)
    }
}
