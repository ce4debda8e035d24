//! `microvm nix`: what the Nix modules call inside of their derivations. It holds the logic that
//! they do not have: checks, plans, store disks, runner packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backend::features::{Feature, HYPERVISORS};
use backend::package::{Content, Entry};
use backend::plan::GuestFiles;
use clap::Subcommand;
use host::fleet::Fleet;
use serde_json::{Map, Value, json};
use spec::Vm;
use spec::guest::GuestSource;
use spec::options::{Opt, Scope};
use spec::read::{HostDefaults, Source};
use spec::vm::{Hypervisor, StoreKind};

use crate::definition::refusals;
use crate::error::{Error, Kind, OrKind, Result};
use crate::fleet::{self, StateDir};
use crate::package;
use crate::places::Places;
use crate::term;

/// What the Nix modules call when they build; see `docs/nix.md`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the options and what hypervisors can do, of which the modules are made
    Table,
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
            Command::Table => println!("{:#}", table()),
            Command::Runner {
                definition,
                system,
                script,
                packages,
                out,
            } => {
                let vm = definition.vm()?;
                runner(&vm, system.as_deref(), packages.as_deref(), &script, &out)?;
            }
            Command::Packages { closure, out } => {
                let text = fs::read_to_string(closure).or_kind(Kind::NotFound)?;
                fs::write(out, packages(&text)).or_kind(Kind::Storage)?;
            }
            Command::Install {
                name,
                package,
                flake,
                state,
            } => install(&state.open()?, &name, &package, flake.as_deref())?,
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

/// `nix/options/table.json`
fn table() -> Value {
    let options: Map<String, Value> = spec::options::all()
        .map(|opt| (opt.name.to_owned(), row(opt)))
        .collect();
    let features: Map<String, Value> = HYPERVISORS
        .into_iter()
        .map(|hypervisor| (hypervisor.to_string(), can(hypervisor)))
        .collect();
    json!({ "options": options, "hypervisors": features })
}

fn row(opt: &Opt) -> Value {
    let mut row = json!({
        "meaning": opt.meaning,
        "example": opt.example,
        "schema": opt.kind.schema(),
        "nullable": opt.nullable,
        "nixOnly": opt.scope == Scope::Nix,
    });
    match opt.default.to_json() {
        Some(value) => row["default"] = value,
        None => row["computed"] = opt.default.to_string().into(),
    }
    row
}

fn can(hypervisor: Hypervisor) -> Value {
    let can = |feature: &&Feature| feature.support(hypervisor).is_possible();
    Feature::ALL
        .iter()
        .filter(can)
        .map(|one| one.title())
        .collect()
}

fn store_disk(kind: &StoreKind, closure: &Path, release: Option<&str>, out: &Path) -> Result<()> {
    image::closure::store_disk(closure, kind, release, out, term::interrupted())?;
    Ok(())
}

impl Definition {
    /// The checked VM. Memory and processors are those of another host: nothing is too much here.
    fn vm(&self) -> Result<Vm> {
        let text = fs::read_to_string(&self.definition).map_err(|error| {
            let shown = self.definition.display();
            Error::new(Kind::NotFound, format!("Cannot read `{shown}`: {error}"))
        })?;
        let source = Source {
            file: "config.microvm",
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
            _ => Err(checked.problems).or_kind(Kind::Definition),
        }
    }
}

fn runner(
    vm: &Vm,
    system: Option<&Path>,
    packages: Option<&Path>,
    scripts: &[(String, PathBuf)],
    out: &Path,
) -> Result<()> {
    let share = out.join("share/microvm");
    fs::create_dir_all(&share).or_kind(Kind::Storage)?;
    let (GuestSource::Given { store_disk }, Some(initrd)) = (&vm.guest.source, &vm.boot.initrd)
    else {
        let message = "The guest is not complete: `kernel` and `initrdPath` bring a NixOS guest";
        return Err(Error::new(Kind::Definition, message));
    };
    let files = GuestFiles {
        kernel: image::given_kernel(vm, &share.join("vmlinux"))?,
        initrd: initrd.clone(),
        store_disk: store_disk.clone(),
        root_tree: None,
        kernel_params: Vec::new(),
    };
    let exe = std::env::current_exe().or_kind(Kind::Other)?;
    // What stands for a system that is not referred to: the disk that it is on.
    let stands = store_disk.as_deref().unwrap_or(initrd);
    let system = system.unwrap_or(stands);
    let mut entries =
        backend::package::entries(vm, &files, system, &exe).or_kind(Kind::Definition)?;
    if let Some(packages) = packages {
        let text = fs::read_to_string(packages).or_kind(Kind::NotFound)?;
        entries.push(Entry {
            path: package::PACKAGES.into(),
            content: Content::File(text),
        });
    }
    for (name, path) in scripts {
        entries.push(script(vm, &entries, name, path)?);
    }
    let wrote = entries
        .iter()
        .try_for_each(|entry| package::write(out, entry));
    wrote.or_kind(Kind::Storage)
}

/// Those of the host's configuration alone are updated with it; those of a flake by themselves.
fn install(fleet: &Fleet, name: &str, package: &Path, flake: Option<&str>) -> Result<()> {
    let name = host::fleet::name(name)?;
    fleet::keep_from_gc(fleet, &name, &Places::of_this_user())?;
    if fleet.find(&name)?.is_none() {
        crate::convergence::unmark(fleet, &name)?;
        fleet.create(&name, package, flake, flake.is_none())?;
    } else if flake.is_none() {
        fleet.update(&name, package, None, true)?;
    }
    Ok(())
}

/// `NAME VERSION` a line, without the hashes that would refer to the paths.
fn packages(closure: &str) -> String {
    let names: BTreeSet<String> = closure.lines().filter_map(name_and_version).collect();
    names.into_iter().collect()
}

/// Of `/nix/store/HASH-nginx-1.24.0` the line `nginx 1.24.0`; what has no version is no package.
fn name_and_version(path: &str) -> Option<String> {
    let (_, name) = path.rsplit('/').next()?.split_once('-')?;
    let mut parts = name.match_indices('-').map(|(at, _)| at);
    let is_version = |at: &usize| name[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let at = parts.find(is_version)?;
    Some(format!("{} {}\n", &name[..at], &name[at + 1..]))
}

/// One of `binScripts`, which cannot take the place of a program of ours.
fn script(vm: &Vm, entries: &[Entry], name: &str, path: &Path) -> Result<Entry> {
    let place = Path::new("bin").join(name);
    if entries.iter().any(|entry| entry.path == place) {
        let message = format!(
            "VM `{}`: `binScripts.{name}` would replace the package's own `{}`",
            vm.name,
            place.display()
        );
        return Err(Error::new(Kind::Definition, message).hint("give the script another name"));
    }
    Ok(Entry {
        path: place,
        content: Content::Link(path.to_owned()),
    })
}

fn named_path(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("NAME=PATH is accepted, with a NAME that has no `/`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("/nix/store/abc-nginx-1.24.0", Some("nginx 1.24.0\n"))]
    #[case("/nix/store/abc-linux-6.1-modules", Some("linux 6.1-modules\n"))]
    #[case("/nix/store/abc-unit-script", None)]
    #[case("/nix/store/abc", None)]
    fn packages_of_a_closure(#[case] path: &str, #[case] line: Option<&str>) {
        assert_eq!(name_and_version(path).as_deref(), line);
    }
}
