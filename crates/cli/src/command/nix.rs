//! `microvm nix`: what the Nix modules call inside of their derivations. It holds the logic that
//! they do not have: checks, plans, store disks, runner packages.

mod runner;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use host::fleet::Fleet;
use spec::Vm;
use spec::read::{HostDefaults, Source};
use spec::vm::{Arch, StoreKind};

use super::migrate;
use crate::definition::refusals;
use crate::error::{Error, Kind, OrKind, Result};
use crate::fleet::{self, StateDir};
use crate::networks;
use crate::places::Places;
use crate::term;
use crate::verbs::say;

/// What the Nix modules call when they build
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the options and what hypervisors can do, of which the modules are made
    Table,
    /// Print the handbook's page of options
    Handbook,
    /// Check `config.microvm` as JSON, and write the runner package of its VM
    Runner {
        #[command(flatten)]
        definition: Definition,
        /// The guest's system, by which versions are told apart; without it the package does not
        /// refer to it
        #[arg(long, value_name = "PATH")]
        system: Option<PathBuf>,
        /// Add the program `bin/NAME`, a link to PATH
        #[arg(long, value_name = "NAME=PATH", value_parser = named_path)]
        script: Vec<(String, PathBuf)>,
        /// What the guest is made of, as `microvm nix packages` writes it
        #[arg(long, value_name = "FILE")]
        packages: Option<PathBuf>,
        /// Where to write it; must not be there
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Write the names and versions of a closure's packages, by which versions of a VM are compared
    /// where its package refers to none of them
    Packages {
        /// File that names the paths of the closure, one a line
        #[arg(long, value_name = "FILE")]
        closure: PathBuf,
        /// Where to write them
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write what stops a guest that its hypervisor cannot ask, and runs the host's commands in it
    Helpers {
        /// The guest's processor
        #[arg(long, value_name = "ARCH", value_parser = named_arch)]
        arch: Arch,
        /// Where to write it; must not be there
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Install the VM of a host's configuration
    Install {
        name: String,
        /// Its runner package
        #[arg(long, value_name = "PATH")]
        package: PathBuf,
        /// Installed once, and from then on updated from this source
        #[arg(long, value_name = "SOURCE")]
        flake: Option<String>,
        #[command(flatten)]
        state: StateDir,
    },
    /// Check the networks of a host's configuration, and record them for its units
    Networks {
        /// `networks`, and the `network` of `vms`, as JSON
        file: PathBuf,
        /// Record nothing
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        state: StateDir,
    },
    /// Check `config.microvm` as JSON, and make the store disk of a closure
    StoreDisk {
        #[command(flatten)]
        definition: Definition,
        /// File that names the paths of the closure, one a line
        #[arg(long, value_name = "FILE")]
        closure: PathBuf,
        /// Release of the guest's kernel
        #[arg(long, value_name = "RELEASE")]
        kernel_release: Option<String>,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct Definition {
    /// `config.microvm` as JSON
    #[arg(long, value_name = "FILE")]
    definition: PathBuf,
    /// Name of the VM
    #[arg(long, value_name = "NAME")]
    name: String,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Table => println!("{:#}", table::table()),
            Command::Handbook => print!("{}", table::handbook()),
            Command::Runner {
                definition,
                system,
                script,
                packages,
                out,
            } => {
                let vm = definition.vm()?;
                runner::write(&vm, system.as_deref(), packages.as_deref(), &script, &out)?;
            }
            Command::Packages { closure, out } => {
                let text = fs::read_to_string(closure).or_kind(Kind::NotFound)?;
                fs::write(out, runner::packages(&text)).or_kind(Kind::Storage)?;
            }
            Command::Helpers { arch, out } => {
                image::initrd::helpers::write(arch, &out).or_kind(Kind::Storage)?;
            }
            Command::Install {
                name,
                package,
                flake,
                state,
            } => install(&state.open()?, &name, &package, flake.as_deref())?,
            Command::Networks { file, check, state } => {
                let text = fs::read_to_string(file).or_kind(Kind::NotFound)?;
                let declared = crate::declared::networks_of_nix(&text)?;
                if !check {
                    networks::record(&declared, &state.open()?)?;
                }
            }
            Command::StoreDisk {
                definition,
                closure,
                kernel_release,
                out,
            } => {
                let kind = definition.vm()?.store.kind;
                let release = kernel_release.as_deref();
                store_disk(&kind, &closure, release, &out)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn store_disk(kind: &StoreKind, closure: &Path, release: Option<&str>, out: &Path) -> Result<()> {
    image::closure::store_disk(closure, kind, release, out, term::interrupted())?;
    Ok(())
}

/// What the definition is called in messages.
const FILE: &str = "config.microvm";

/// Where in the JSON something is wrong says nothing to who wrote Nix.
fn without_places(problems: &str) -> String {
    let line = |line: &str| {
        let rest = line
            .strip_prefix(FILE)
            .and_then(|rest| rest.strip_prefix(':'));
        let rest = rest.and_then(|rest| rest.split_once(": "));
        rest.map_or(line, |(_, rest)| rest).to_owned()
    };
    problems.lines().map(line).collect::<Vec<_>>().join("\n")
}

impl Definition {
    /// The checked VM. Memory and processors are those of another host: nothing is too much here.
    fn vm(&self) -> Result<Vm> {
        let text = fs::read_to_string(&self.definition).map_err(|error| {
            let shown = self.definition.display();
            Error::new(Kind::NotFound, format!("Cannot read `{shown}`: {error}"))
        })?;
        let source = Source {
            file: FILE,
            base_dir: Path::new("/"),
            host: HostDefaults {
                arch: crate::definition::own_arch(),
                mem_mib: None,
                cpus: None,
            },
        };
        let checked = spec::read::check_json_vm(&source, &self.name, &text, refusals);
        let mut vms = checked.sound.vms.into_values();
        match vms.next() {
            Some(vm) if checked.problems.is_empty() => Ok(vm),
            _ => Err(Error::new(
                Kind::Definition,
                without_places(&checked.problems.to_string()),
            )),
        }
    }
}

/// Those of the host's configuration alone are updated with it; those of a flake by themselves.
fn install(fleet: &Fleet, name: &str, package: &Path, flake: Option<&str>) -> Result<()> {
    let name = host::fleet::name(name)?;
    for adopted in fleet.adopt(&name)? {
        say(migrate::took_over(&adopted));
    }
    fleet::keep_from_gc(fleet, &name, &Places::of_this_user())?;
    if fleet.find(&name)?.is_none() {
        crate::convergence::unmark(fleet, &name)?;
        fleet.create(&name, package, flake, flake.is_none())?;
    } else if flake.is_none() {
        fleet.update(&name, package, None, true)?;
    }
    networks::refresh(fleet)
}

fn named_path(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("NAME=PATH is accepted, with a NAME that has no `/`".to_owned()),
    }
}

fn named_arch(text: &str) -> std::result::Result<Arch, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
