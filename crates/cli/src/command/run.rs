//! `microvm run`: builds what changed, and runs it in this terminal.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::Result;
use crate::package;
use crate::places::Places;
use crate::reference::Reference;
use crate::runner::Runner;
use crate::running;

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
        let (path, _kept) = match package::of_path(&self.reference) {
            Some(path) => (path, None),
            None => {
                let package =
                    super::build::build(&self.reference, &Places::of_this_user(), self.update)?;
                let kept = running::keep(&package.store, &package.path)?;
                (package.path, Some(kept))
            }
        };
        Runner::open(&path)?.supervise(&self.state_dir, &self.extra)
    }
}
