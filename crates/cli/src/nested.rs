//! `microvm#vm`: a host of microVMs in a microVM, with one VM for each hypervisor that is found.
//!
//! Their guests are built here, once, and shared with it.

mod guests;
mod outer;
mod processor;
mod smoke;
mod ssh;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::definition;
use crate::error::{Error, Kind, Result};
use crate::package;
use crate::places::Places;
use crate::reference::{Reference, Source};
use crate::runner::Runner;
use crate::running;
use crate::verbs::say;

use guests::Guests;
use processor::Processor;

/// The name of the VM among the examples.
const NAME: &str = "vm";

/// What `microvm run microvm#vm -- …` takes.
#[derive(Parser)]
#[command(name = "microvm run microvm#vm --", no_binary_name = true)]
struct Options {
    /// Boot it, wait until each of its VMs answers on SSH, print a table of them, and shut
    /// everything down; the exit code is 0 where all did
    #[arg(long)]
    smoke: bool,

    /// Processors [default: 4, or as many as this host has; 1 where they are emulated]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=255))]
    vcpu: Option<u32>,

    /// Memory [default: 8192, or half of what this host has]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1024..))]
    mem: Option<u64>,

    /// Port of 127.0.0.1 that leads to its SSH [default: 2222; with --smoke a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ssh_port: Option<u16>,

    /// Only these hypervisors [default: all that are found]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    hypervisors: Vec<String>,
}

/// Whether a reference names it.
pub fn is(reference: &Reference, places: &Places) -> Result<bool> {
    if reference.name.as_deref() != Some(NAME) {
        return Ok(false);
    }
    Ok(match &reference.source {
        Source::BuiltIn => true,
        Source::Registry(name) => definition::registered(name, places)? == Some(Source::BuiltIn),
        Source::Path(_) | Source::Git(_) => false,
    })
}

/// It can only be run: its parts are put together then.
pub fn refuse(reference: &Reference, places: &Places) -> Result<()> {
    if !is(reference, places)? {
        return Ok(());
    }
    let error = Error::new(
        Kind::Usage,
        "`microvm#vm` is put together when it runs, of what is found then",
    );
    Err(error.hint("`microvm run microvm#vm` builds and runs it"))
}

/// Builds what runs in it, then it, and runs it.
pub fn run(state: &Path, places: &Places, update: bool, extra: &[String]) -> Result<ExitCode> {
    let options = match Options::try_parse_from(extra) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let processor = Processor::of_this_host(places)?;
    say(format!("`{NAME}`: {processor}"));
    let guests = Guests::find(&options.hypervisors, places)?;
    for line in guests.left_out() {
        say(format!("`{NAME}`: {line}"));
    }
    let built = guests.build(places, update)?;
    let port = match (options.ssh_port, options.smoke) {
        (Some(port), _) => port,
        (None, true) => smoke::free_port()?,
        (None, false) => outer::SSH_PORT,
    };
    let shape = outer::Shape {
        vcpu: options.vcpu,
        mem: options.mem,
        port,
    };
    let definition = outer::definition(&built, &processor, &shape, places)?;
    let vm = definition.vm(Some(NAME))?;
    let package = package::build(&vm, &definition, places, update)?;
    // As long as it runs, `microvm gc` leaves all of it.
    let _kept = built
        .iter()
        .map(|guest| &guest.package)
        .chain([&package])
        .map(|package| running::keep(&package.store, &package.path))
        .collect::<Result<Vec<_>>>()?;
    if options.smoke {
        return smoke::run(&package.path, port, &built);
    }
    Runner::open(&package.path)?.supervise(state, &[])
}
