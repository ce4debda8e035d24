//! `microvm schema`: the JSON schema of a definition file.

use std::process::ExitCode;

use crate::error::Result;

/// Print the JSON schema of `microvm.toml` and `microvm.json`
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        println!("{:#}", spec::schema());
        Ok(ExitCode::SUCCESS)
    }
}
