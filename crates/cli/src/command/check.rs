//! `microvm check`: every problem of every VM of the sources named.

use std::process::ExitCode;

use crate::definition::Definition;
use crate::error::{Kind, Result};
use crate::flake::Flake;
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
            if let Some(flake) = Flake::of(&reference.source, &places)? {
                let (wrong, row) = check_flake(&flake, reference.name.as_deref(), self.json)?;
                failed |= wrong;
                rows.push(row);
                continue;
            }
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

/// All VMs in one evaluation; where that fails, each by itself, so that all problems are told.
fn check_flake(
    flake: &Flake,
    wanted: Option<&str>,
    json: bool,
) -> Result<(bool, serde_json::Value)> {
    let names = match wanted {
        Some(name) => vec![name.to_owned()],
        None => flake.names()?,
    };
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let together = flake.prepare(&all).is_ok();
    let mut problems = Vec::new();
    for name in &names {
        match flake.runner(name) {
            Ok(_) => {}
            Err(error) if together || error.kind() == Kind::Missing => return Err(error),
            Err(error) => problems.push((name, error.to_string())),
        }
    }
    let sound: Vec<&String> = names
        .iter()
        .filter(|name| problems.iter().all(|(wrong, _)| wrong != name))
        .collect();
    if !json {
        for (name, problem) in &problems {
            anstream::eprintln!("{flake}#{name}: {problem}\n");
        }
        match problems.len() {
            0 => println!("{flake}: {}", verdict(wanted, sound.len())),
            n => eprintln!(
                "{flake}: {n} VM{} with problems",
                if n == 1 { "" } else { "s" }
            ),
        }
    }
    let rows: Vec<_> = problems
        .iter()
        .map(|(vm, message)| serde_json::json!({ "vm": vm, "message": message }))
        .collect();
    let row = serde_json::json!({ "source": flake.to_string(), "vms": sound, "problems": rows });
    Ok((!problems.is_empty(), row))
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
