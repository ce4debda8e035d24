//! `microvm top`: all VMs, what they cost, and what can be done with them.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::fleet::StateDir;
use crate::top::{self, Settings};

/// Show all VMs of this host and what they use, and start, stop and enter them
#[derive(clap::Args)]
pub struct Args {
    /// Print one sample as JSON, and end
    #[arg(long)]
    json: bool,

    /// Time between two looks [default: 2; with --json, over which rates are taken, 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    interval: Option<Duration>,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        if !self.json {
            refuse_without_terminal()?;
        }
        let usual = Duration::from_secs(if self.json { 1 } else { 2 });
        let settings = Settings {
            fleet: self.state.open()?,
            interval: self.interval.unwrap_or(usual),
        };
        if self.json {
            return top::print_one(settings);
        }
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        top::show(settings, !no_colour)
    }

    pub fn only_prints(&self) -> bool {
        self.json
    }
}

fn refuse_without_terminal() -> Result<()> {
    let refused = |what: String| {
        let message = format!("{what}; `microvm top --json` prints one sample anywhere");
        Err(Error::new(Kind::Usage, message))
    };
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return refused("Standard input and output are to be a terminal for `microvm top`".into());
    }
    match std::env::var("TERM").unwrap_or_default().as_str() {
        "" => refused("`TERM` is not set, so nobody knows what this terminal can draw".into()),
        "dumb" => refused("This terminal is `dumb` (`TERM`): nothing can be drawn on it".into()),
        _ => Ok(()),
    }
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let accepted = 0.1..=3600.0;
    let seconds = text.parse().ok().filter(|s| accepted.contains(s));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "accepted are seconds from 0.1 to 3600, such as `2` or `0.5`".to_owned())
}
