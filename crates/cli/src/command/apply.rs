//! `microvm apply`: makes the VMs and networks of this host those that are declared.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::convergence::{self, FILE};
use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::networks;
use crate::places::Places;

/// Install, update and stop VMs of this host until they are what is declared
#[derive(clap::Args)]
pub struct Args {
    /// The host's configuration
    #[arg(long, value_name = "FILE", default_value = FILE)]
    config: PathBuf,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let (declared, fleet) = convergence::open(&self.config, &self.state)?;
        convergence::sweep(&declared, &fleet)?;
        let places = Places::of_this_user();
        let mut steps = Vec::new();
        let mut failed = None;
        for step in convergence::plan(&declared, &fleet, &places) {
            match step {
                Ok(step) => steps.push(step),
                Err((name, error)) => {
                    eprintln!("microvm: `{name}`:");
                    error.print_and_code();
                    failed.get_or_insert(ExitCode::from(error.kind() as u8));
                }
            }
        }
        let wanted = networks::plan(&declared, &fleet)?;
        if steps.is_empty() && wanted.is_empty() && failed.is_none() {
            println!("{}: nothing to do", declared.file.display());
        }
        // First: a VM that starts is to find its network.
        let ready = fleet::for_each(&wanted, |step| {
            println!("{step}");
            networks::carry_out(step, &fleet)
        })?;
        let code = fleet::for_each(&steps, |step| {
            println!("{step}");
            convergence::carry_out(step, &fleet, &places)
        })?;
        networks::refresh(&fleet)?;
        let started = convergence::start_all(&declared, &fleet)?;
        let first = [ready, code, started]
            .into_iter()
            .find(|code| *code != ExitCode::SUCCESS);
        Ok(failed.or(first).unwrap_or(ExitCode::SUCCESS))
    }
}
