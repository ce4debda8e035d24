//! `microvm hypervisors`: what each can do, and which this host has.

use std::process::ExitCode;

use backend::features::{self, Feature, HYPERVISORS, Support};
use host::probe::Host;
use serde_json::{Value, json};
use spec::vm::{Arch, Hypervisor};

use crate::error::Result;
use crate::places::Places;

/// Show what each hypervisor can do, and which this host has
#[derive(clap::Args)]
pub struct Args {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let host = Host::here(Places::of_this_user().cache);
        let found: Vec<Found> = HYPERVISORS
            .into_iter()
            .map(|hypervisor| Found::on(&host, hypervisor))
            .collect();
        if self.json {
            println!("{:#}", to_json(&found));
        } else {
            print_features();
            println!();
            print_found(&found);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One hypervisor on this host.
struct Found {
    hypervisor: Hypervisor,
    program: Option<std::path::PathBuf>,
    version: Option<String>,
}

impl Found {
    fn on(host: &Host, hypervisor: Hypervisor) -> Self {
        if hypervisor == Hypervisor::Alioth {
            return Self {
                hypervisor,
                program: None,
                version: Some(host::alioth::VERSION.to_string()),
            };
        }
        let name = host::probe::program_name(hypervisor, native());
        let program = host::program::find_in(name, &host.programs);
        let features = program
            .as_ref()
            .and_then(|program| host::probe::features_of(program, hypervisor, host).ok());
        Self {
            hypervisor,
            version: features.map(|features| features.version.to_string()),
            program,
        }
    }

    fn backend(&self) -> &'static str {
        if features::built().contains(&self.hypervisor) {
            "yes"
        } else {
            "not yet"
        }
    }
}

fn native() -> Arch {
    if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    }
}

fn print_features() {
    let width = Feature::ALL
        .iter()
        .map(|feature| feature.title().len())
        .max()
        .unwrap_or(0);
    let names: Vec<&str> = HYPERVISORS.into_iter().map(features::name).collect();
    println!("{:width$}  {}", "", names.join("  "));
    for feature in Feature::ALL {
        let cells: Vec<String> = HYPERVISORS
            .into_iter()
            .zip(&names)
            .map(|(hypervisor, name)| {
                format!(
                    "{:column$}",
                    cell(feature.support(hypervisor)),
                    column = name.len()
                )
            })
            .collect();
        println!(
            "{:width$}  {}",
            feature.title(),
            cells.join("  ").trim_end()
        );
    }
}

fn cell(support: Support) -> String {
    match support {
        Support::Yes => "yes".to_owned(),
        Support::No => "-".to_owned(),
        Support::Since(version) => format!("{}.{}+", version.0, version.1),
    }
}

fn print_found(found: &[Found]) {
    println!("{:18}  {:7}  on this host", "hypervisor", "backend");
    for one in found {
        let place = match (&one.program, &one.version) {
            (Some(program), Some(version)) => format!("{version}, {}", program.display()),
            (Some(program), None) => program.display().to_string(),
            (None, Some(version)) => format!("{version}, built in"),
            (None, None) => "-".to_owned(),
        };
        println!(
            "{:18}  {:7}  {place}",
            features::name(one.hypervisor),
            one.backend()
        );
    }
}

fn to_json(found: &[Found]) -> Value {
    let rows = found.iter().map(|one| {
        let table: serde_json::Map<String, Value> = Feature::ALL
            .iter()
            .map(|feature| {
                let support = match feature.support(one.hypervisor) {
                    Support::Yes => Value::Bool(true),
                    Support::No => Value::Bool(false),
                    Support::Since(version) => json!({ "since": version.to_string() }),
                };
                (feature.title().to_owned(), support)
            })
            .collect();
        json!({
            "hypervisor": features::name(one.hypervisor),
            "backend": features::built().contains(&one.hypervisor),
            "program": one.program,
            "version": one.version,
            "features": table,
        })
    });
    Value::Array(rows.collect())
}
