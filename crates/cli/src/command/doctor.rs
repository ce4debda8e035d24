//! `microvm doctor`: what this host can do and what is missing, each with the command that mends
//! it.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use host::fleet::{Fleet, Owner};

use crate::doctor::{self, Finding, Grade};
use crate::error::{Kind, Result};
use crate::fleet::StateDir;
use crate::verbs::say;

/// Look at this host and its VMs: what works, what is wrong, and the command that mends it
#[derive(clap::Args)]
pub struct Args {
    /// Look at these alone, by the words before the colon, such as `kvm` or `vm web`
    #[arg(value_name = "WHAT")]
    what: Vec<String>,

    /// Run the commands that mend what is wrong, then look again
    #[arg(long)]
    fix: bool,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        // Opened as it is: what was cut off is to be seen, not mended by looking.
        let fleet = Fleet::new(&self.state.path(), Owner::here())?;
        let mut findings = self.look(&fleet);
        if self.fix {
            mend(&findings);
            findings = self.look(&fleet);
        }
        if self.json {
            let rows: Vec<_> = findings.iter().map(Finding::to_json).collect();
            println!("{:#}", serde_json::Value::from(rows));
        } else {
            findings.iter().for_each(print);
        }
        let is_left = findings.iter().any(|finding| finding.grade == Grade::Wrong);
        Ok(match is_left {
            true => ExitCode::from(Kind::Missing as u8),
            false => ExitCode::SUCCESS,
        })
    }
}

impl Args {
    fn look(&self, fleet: &Fleet) -> Vec<Finding> {
        let mut findings = doctor::look(fleet);
        findings.retain(|finding| self.what.is_empty() || self.what.contains(&finding.what));
        findings
    }
}

/// Each command once, whatever it mends.
fn mend(findings: &[Finding]) {
    let mut done: Vec<&[String]> = Vec::new();
    for finding in findings {
        let is_to_be_run = finding.grade == Grade::Wrong && !finding.command.is_empty();
        if !is_to_be_run || done.contains(&&finding.command[..]) {
            continue;
        }
        done.push(&finding.command);
        say(format!("Running `{}`", finding.typed()));
        if let Err(why) = finding.mend() {
            say(format!("That failed: {why}"));
        }
    }
}

fn print(finding: &Finding) {
    let (word, colour) = match finding.grade {
        Grade::Good => ("ok", AnsiColor::Green),
        Grade::Could => ("could", AnsiColor::Yellow),
        Grade::Wrong => ("wrong", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    anstream::println!(
        "{style}{word:5}{style:#}  {}: {}",
        finding.what,
        finding.message
    );
    if finding.grade != Grade::Good && !finding.command.is_empty() {
        println!("       {}", finding.typed());
    }
}
