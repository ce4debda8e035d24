//! `microvm options`: all options, or one with all that is known of it.

use std::process::ExitCode;

use crate::error::{Error, Kind, Result};

/// List the options of a definition, or explain one
#[derive(clap::Args)]
pub struct Args {
    /// An option, or the beginning of several: `mem`, `volumes.*.size`, `volumes`
    name: Option<String>,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let found = match &self.name {
            None => spec::options::all().collect(),
            Some(name) => matching(name)?,
        };
        if self.json {
            let rows: Vec<_> = found.iter().map(|option| option.to_json()).collect();
            println!("{:#}", serde_json::Value::Array(rows));
        } else if let [one] = found.as_slice() {
            println!("{}", one.explained());
        } else {
            print!("{}", spec::options::table(&found));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The option of that name, or all below it.
fn matching(name: &str) -> Result<Vec<&'static spec::options::Opt>> {
    let name = name.strip_prefix("microvm.").unwrap_or(name);
    let below: Vec<_> = spec::options::below(name).collect();
    if !below.is_empty() {
        return Ok(below);
    }
    let error = Error::new(Kind::NotFound, format!("There is no option `{name}`"));
    Err(match spec::options::nearest(name) {
        Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
        None => error.hint("`microvm options` lists them all"),
    })
}
