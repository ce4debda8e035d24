//! `microvm registry`: short names for sources.

use std::process::ExitCode;

use clap::Subcommand;

use crate::error::{Error, Kind, Result};
use crate::places::Places;
use crate::reference::{Reference, Source};
use crate::registry::{BUILT_IN, Registry};

/// Short names for sources
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let a name stand for a source
    Add {
        /// Letters, digits, `-` and `_`
        name: String,
        /// A directory or a git URL
        source: String,
    },
    /// Forget a name
    Remove { name: String },
    /// Show all names
    List {
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let mut registry = Registry::open(&Places::of_this_user().config)?;
        match self.command {
            Command::Add { name, source } => add(&mut registry, &name, &source)?,
            Command::Remove { name } => remove(&mut registry, &name)?,
            Command::List { json } => list(&registry, json),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn add(registry: &mut Registry, name: &str, source: &str) -> Result<()> {
    if !Registry::is_name(name) {
        let message = format!(
            "`{name}` cannot be a name; accepted are letters, digits, `-` and `_`, beginning with a letter"
        );
        return Err(Error::new(Kind::Usage, message));
    }
    let reference: Reference = source
        .parse()
        .map_err(|error| Error::new(Kind::Usage, error))?;
    if reference.name.is_some() {
        return Err(Error::new(
            Kind::Usage,
            format!(
                "`{source}` names a VM; a registry's name stands for a source, without `#NAME`"
            ),
        ));
    }
    let source = match reference.source {
        // A relative path would mean another directory at every call.
        Source::Path(path) => std::path::absolute(&path)
            .map_err(|error| {
                Error::new(
                    Kind::Usage,
                    format!("Cannot resolve `{}`: {error}", path.display()),
                )
            })?
            .display()
            .to_string(),
        Source::Registry(other) if other != BUILT_IN => {
            return Err(Error::new(
                Kind::Usage,
                format!(
                    "`{other}` is a name itself; accepted is a directory (`./{other}`) or a git URL"
                ),
            ));
        }
        other => other.to_string(),
    };
    match registry.add(name, &source)? {
        Some(before) if before != source => {
            eprintln!("`{name}` stood for {before}, now for {source}")
        }
        _ => eprintln!("`{name}` stands for {source}"),
    }
    Ok(())
}

fn remove(registry: &mut Registry, name: &str) -> Result<()> {
    if registry.remove(name)? {
        eprintln!("`{name}` is forgotten");
        return Ok(());
    }
    let why = match (name == BUILT_IN, registry.get(name)) {
        (true, _) => "is built in",
        (false, Some(_)) => "comes from the system's registry, `/etc/microvm/registry.toml`",
        (false, None) => "is not in the registry",
    };
    Err(Error::new(Kind::NotFound, format!("`{name}` {why}"))
        .hint("`microvm registry list` shows what there is"))
}

fn list(registry: &Registry, json: bool) {
    let mut all = registry.all();
    all.entry(BUILT_IN).or_insert("(built in)");
    if json {
        println!("{:#}", serde_json::json!(all));
        return;
    }
    let width = all.keys().map(|name| name.len()).max().unwrap_or(0);
    for (name, source) in all {
        println!("{name:width$}  {source}");
    }
}
