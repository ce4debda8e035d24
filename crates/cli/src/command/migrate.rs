//! `microvm migrate`: from the layout of version 0.1.0.

use std::process::ExitCode;

use host::fleet::Fate;

use crate::error::Result;
use crate::fleet::{self, StateDir};

/// Remove what version 0.1.0 copied into directories of VMs, once their packages have it
#[derive(clap::Args)]
pub struct Args {
    /// Do it; otherwise only say what would be removed, and why the rest is kept
    #[arg(short = 'y', long)]
    yes: bool,

    /// As JSON; nothing is removed
    #[arg(long, conflicts_with = "yes")]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let fleet = self.state.open()?;
        let found = fleet.leftovers()?;
        if self.json {
            let rows: Vec<_> = found
                .iter()
                .flat_map(|(name, leftovers)| leftovers.iter().map(move |left| (name, left)))
                .map(|(name, left)| {
                    serde_json::json!({
                        "vm": &**name,
                        "path": left.path.display().to_string(),
                        "remove": left.fate == Fate::Replaced,
                        "why": why(left.fate),
                    })
                })
                .collect();
            println!("{:#}", serde_json::Value::from(rows));
            return Ok(ExitCode::SUCCESS);
        }
        if found.is_empty() {
            println!("{}: nothing of version 0.1.0", fleet.dir().display());
            return Ok(ExitCode::SUCCESS);
        }
        let all = found.iter().flat_map(|(_, leftovers)| leftovers);
        let (go, stay): (Vec<_>, Vec<_>) =
            all.partition(|leftover| leftover.fate == Fate::Replaced);
        for leftover in &stay {
            println!("keep {}: {}", leftover.path.display(), why(leftover.fate));
        }
        if !self.yes {
            go.iter()
                .for_each(|leftover| println!("remove {}", leftover.path.display()));
            if !go.is_empty() {
                eprintln!("hint: `microvm migrate --yes` does so");
            }
            return Ok(ExitCode::SUCCESS);
        }
        let names: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
        fleet::for_each(&names, |name| {
            for path in fleet.remove_leftovers(name)? {
                println!("removed {}", path.display());
            }
            Ok(())
        })
    }
}

fn why(fate: Fate) -> &'static str {
    match fate {
        Fate::Replaced => "the package has it",
        Fate::NoPackage => "the VM has no package; `microvm create NAME -f SOURCE` installs one",
        Fate::NotInPackage => "the package does not have it",
        Fate::Unknown => "it is not what version 0.1.0 left",
    }
}
