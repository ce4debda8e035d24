//! `microvm gc`: removes what no link leads to.

use std::process::ExitCode;

use image::store::Store;

use crate::error::Result;
use crate::places::Places;
use crate::running;

/// Remove built things that no result link or running VM needs
#[derive(clap::Args)]
pub struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let store = Store::open(&Places::of_this_user().store)?;
        running::sweep(&store);
        let report = store.gc(self.dry_run, crate::term::interrupted())?;
        if self.json {
            println!(
                "{:#}",
                serde_json::json!({ "paths": report.paths, "bytes": report.freed_bytes, "dryRun": self.dry_run })
            );
            return Ok(ExitCode::SUCCESS);
        }
        for path in &report.paths {
            println!("{}", path.display());
        }
        let did = if self.dry_run {
            "would be freed"
        } else {
            "freed"
        };
        eprintln!(
            "{} paths, {} {did}",
            report.paths.len(),
            in_units(report.freed_bytes)
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn in_units(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
