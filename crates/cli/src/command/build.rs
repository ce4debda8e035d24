//! `microvm build`: from a definition to a runner package.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::definition::Definition;
use crate::error::Result;
use crate::flake::Flake;
use crate::nested;
use crate::package::{self, Package};
use crate::places::Places;
use crate::reference::Reference;

/// Build a guest and its runner package
#[derive(clap::Args)]
pub struct Args {
    /// `SOURCE#NAME`; without `#NAME` the only VM of the source
    #[arg(value_name = "REF", default_value = ".")]
    reference: Reference,

    /// Link that leads to the package, and keeps it from `microvm gc`
    #[arg(short = 'o', long, value_name = "LINK", default_value = "result")]
    out_link: PathBuf,

    /// Make no link
    #[arg(long, conflicts_with = "out_link")]
    no_link: bool,

    /// Resolve packages anew instead of taking what `microvm.lock` pins
    #[arg(long)]
    update: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let places = Places::of_this_user();
        if let Some(flake) = Flake::of(&self.reference.source, &places)? {
            return self.of_flake(&flake, &places);
        }
        let package = build(&self.reference, &places, self.update)?;
        if !self.no_link {
            package::link(&package, &self.out_link)?;
        }
        if self.json {
            let row = serde_json::json!({ "vm": package.vm.name, "package": package.path, "system": package.system });
            println!("{row:#}");
        } else {
            println!("{}", package.path.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn of_flake(&self, flake: &Flake, places: &Places) -> Result<ExitCode> {
        if self.update {
            flake.update_inputs()?;
        }
        let name = flake.pick(self.reference.name.as_deref())?;
        if !self.no_link {
            package::is_free(&self.out_link)?;
        }
        let link = (!self.no_link).then_some(self.out_link.as_path());
        let built = flake.build(&name, link, places)?;
        if self.json {
            let system = std::fs::canonicalize(built.path.join(package::SYSTEM)).ok();
            let row = serde_json::json!({ "vm": name, "package": built.path, "system": system });
            println!("{row:#}");
        } else {
            println!("{}", built.path.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Finds, checks and builds what a reference names.
pub fn build(reference: &Reference, places: &Places, update: bool) -> Result<Package> {
    nested::refuse(reference, places)?;
    let definition = Definition::find(&reference.source, places)?;
    let vm = definition.vm(reference.name.as_deref())?;
    package::build(&vm, &definition, places, update)
}
