//! `microvm check`: every problem of every VM of the sources named.

use std::process::ExitCode;

use crate::definition::Definition;
use crate::error::{Kind, Result};
use crate::places::Places;
use crate::reference::Reference;

/// Check definitions without building anything
#[derive(clap::Args)]
pub struct Args {
    /// References; without `#NAME` every VM of the source [default: .]
    #[arg(value_name = "REF")]
    references: Vec<Reference>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let places = Places::of_this_user();
        let mut references = self.references;
        if references.is_empty() {
            references.push(".".parse().expect("`.` is a reference"));
        }
        let mut failed = false;
        let mut rows = Vec::new();
        for reference in &references {
            let definition = Definition::find(&reference.source, &places)?;
            let (wrong, row) = check_one(&definition, reference, self.json)?;
            failed |= wrong;
            rows.push(row);
        }
        if self.json {
            println!("{:#}", serde_json::Value::Array(rows));
        }
        Ok(ExitCode::from(if failed {
            Kind::Definition as u8
        } else {
            0
        }))
    }
}

fn check_one(
    definition: &Definition,
    reference: &Reference,
    json: bool,
) -> Result<(bool, serde_json::Value)> {
    let wanted = reference.name.as_deref();
    let checked = definition.check();
    // A file that cannot be read declares none: its own problem is told below.
    if wanted.is_some() && !checked.declared.is_empty() {
        definition.pick(&checked, wanted)?;
    }
    let problems = checked.problems.of(wanted);
    let sound = checked.sound.vms.keys().map(ToString::to_string);
    let names: Vec<String> = sound
        .filter(|name| wanted.is_none_or(|wanted| wanted == name))
        .collect();
    if !json {
        for problem in &problems {
            anstream::eprintln!("{problem}\n");
        }
        match problems.len() {
            0 => println!("{}: {}", definition.shown, verdict(wanted, names.len())),
            n => eprintln!(
                "{}: {n} problem{}",
                definition.shown,
                if n == 1 { "" } else { "s" }
            ),
        }
    }
    let row = serde_json::json!({ "source": definition.shown, "vms": names, "problems": problems });
    Ok((!problems.is_empty(), row))
}

fn verdict(wanted: Option<&str>, vms: usize) -> String {
    match (wanted, vms) {
        (Some(name), _) => format!("`{name}` has no problems"),
        (None, 1) => "1 VM, no problems".to_owned(),
        (None, n) => format!("{n} VMs, no problems"),
    }
}
