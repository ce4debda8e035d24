//! `microvm plan`: what `microvm apply` would do.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::convergence::{self, FILE, Step};
use crate::error::Result;
use crate::fleet::StateDir;
use crate::networks;
use crate::places::Places;

/// Show what `microvm apply` would do, without building or changing anything
#[derive(clap::Args)]
pub struct Args {
    /// The host's configuration
    #[arg(long, value_name = "FILE", default_value = FILE)]
    config: PathBuf,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let (declared, fleet) = convergence::open(&self.config, &self.state)?;
        let steps = convergence::plan(&declared, &fleet, &Places::of_this_user());
        let networks = networks::plan(&declared, &fleet)?;
        let mut rows = Vec::new();
        let mut failed = None;
        for step in &networks {
            match self.json {
                true => rows.push(step.json()),
                false => println!("{step}"),
            }
        }
        for step in &steps {
            match step {
                Ok(step) if self.json => rows.push(row(step)),
                Ok(step) => println!("{step}"),
                Err((name, error)) => {
                    eprintln!("microvm: `{name}`:");
                    error.print_and_code();
                    failed.get_or_insert(error.kind());
                }
            }
        }
        if self.json {
            println!("{:#}", serde_json::Value::Array(rows));
        } else if steps.is_empty() && networks.is_empty() {
            println!("{}: nothing to do", declared.file.display());
        }
        Ok(failed.map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind as u8)))
    }
}

fn row(step: &Step<'_>) -> serde_json::Value {
    let difference = match step {
        Step::Update(_, difference) => Some(difference.json()),
        _ => None,
    };
    serde_json::json!({ "name": step.name(), "step": step.word(), "difference": difference })
}
