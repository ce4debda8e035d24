//! `microvm receive`: the other side of `microvm deploy`.

use std::io::{BufRead, BufReader, Stdin, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use host::fleet::{Fleet, Member};
use image::store::Store;
use spec::names::VmName;

use crate::deployment::{Answer, Cargo, Manifest, Parts};
use crate::error::{Error, Kind, OrKind, Result, succeeded};
use crate::fleet;
use crate::places::{self, Places};
use crate::service;
use crate::ways::Guest;

/// Take a VM from another host
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match receive() {
            Ok(()) => answer(&Answer::Done),
            Err(error) => {
                let code = error.kind() as u8;
                let message = error.with_causes();
                answer(&Answer::Failed { code, message });
            }
        }
        // The answer says how it went.
        Ok(ExitCode::SUCCESS)
    }
}

fn answer(answer: &Answer) {
    let text = serde_json::to_string(answer).unwrap_or_default();
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn receive() -> Result<()> {
    let mut input = BufReader::new(std::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).or_kind(Kind::Usage)?;
    let manifest: Manifest = serde_json::from_str(&line).or_kind(Kind::Usage)?;
    if manifest.version != Manifest::VERSION {
        let message = format!(
            "This `microvm` takes version {} of what is sent",
            Manifest::VERSION
        );
        return Err(Error::new(Kind::Usage, message).hint("use the same version on both hosts"));
    }
    let state = manifest.state_dir.clone().unwrap_or_else(places::state_dir);
    let fleet = fleet::open(&state)?;
    let places = Places::of_this_user();
    let store = Store::open(&places.store)?;
    let package = match &manifest.cargo {
        Cargo::Store(parts) => {
            take_entries(parts, &store, input)?;
            parts.assemble(&store)?
        }
        Cargo::Nix(path) => path.clone(),
    };
    let name = &manifest.name;
    let before = fleet.find(name)?;
    fleet::root(&store, &fleet, name)?;
    match &before {
        Some(member) => {
            let source = member.source.clone();
            fleet.update(name, &package, source.as_deref(), member.managed)?;
        }
        None => fleet.create(name, &package, None, false)?,
    }
    service::allow_paths(&fleet, name)?;
    answer(&Answer::Said(format!("`{name}` is installed")));
    if !manifest.start {
        return Ok(());
    }
    let bound = Duration::from_secs(manifest.seconds);
    match come_up(&fleet, name, bound) {
        Ok(()) => Ok(()),
        Err(error) => Err(go_back(&fleet, name, before.as_ref(), error)),
    }
}

/// Reads the archive of what is not here, where anything is not.
fn take_entries(parts: &Parts, store: &Store, mut input: BufReader<Stdin>) -> Result<()> {
    let mut missing = Vec::new();
    for entry in &parts.entries {
        if !store.has(&entry.name)? {
            missing.push(entry.name.clone());
        }
    }
    answer(&Answer::Missing(missing.clone()));
    if missing.is_empty() {
        return Ok(());
    }
    let staging = store.receive()?;
    let directory = staging.scratch("in");
    std::fs::create_dir(&directory).or_kind(Kind::Storage)?;
    let mut tar = Command::new(host::program::find("tar").or_kind(Kind::Missing)?);
    tar.args([
        "--extract",
        "--file=-",
        "--numeric-owner",
        "--preserve-permissions",
    ])
    .args([
        "--delay-directory-restore",
        "--xattrs",
        "--xattrs-include=*",
        "--directory",
    ])
    .arg(&directory)
    .stdin(Stdio::piped())
    .stdout(Stdio::null());
    let mut tar = tar.spawn().or_kind(Kind::Missing)?;
    // What was read ahead of the first line's end belongs to the archive.
    if let Some(mut to) = tar.stdin.take() {
        let copied = std::io::copy(&mut input, &mut to);
        drop(to);
        copied.or_kind(Kind::Storage)?;
    }
    let status = tar.wait().or_kind(Kind::Other)?;
    succeeded("tar", status, Kind::Storage)?;
    let wanted = parts
        .entries
        .iter()
        .filter(|entry| missing.contains(&entry.name));
    for entry in wanted {
        store.take(entry, &directory, crate::term::interrupted())?;
    }
    Ok(())
}

/// Starts the new version, and waits within a bound until its guest is there.
fn come_up(fleet: &Fleet, name: &VmName, bound: Duration) -> Result<()> {
    service::restart(fleet, name)?;
    let start = Instant::now();
    loop {
        let guest = Guest::find(fleet, name)?;
        let left = bound.saturating_sub(start.elapsed());
        match guest.is_up(left) {
            Some(true) => {
                let seconds = start.elapsed().as_secs();
                answer(&Answer::Said(format!(
                    "the guest of `{name}` is up after {seconds} s"
                )));
                return Ok(());
            }
            None if start.elapsed() > SETTLED => {
                answer(&Answer::Said(format!(
                    "`{name}` runs; its guest has no way to say more"
                )));
                return Ok(());
            }
            _ if left.is_zero() => {
                let seconds = bound.as_secs();
                let message = format!("The guest of `{name}` did not come up in {seconds} s");
                return Err(Error::new(Kind::Hypervisor, message));
            }
            _ => std::thread::sleep(Duration::from_millis(500)),
        }
    }
}

/// A hypervisor that runs so long is taken not to end at once.
const SETTLED: Duration = Duration::from_secs(5);

/// The version before, as it ran; a VM that is new is stopped and stays to be looked at.
fn go_back(fleet: &Fleet, name: &VmName, before: Option<&Member>, error: Error) -> Error {
    let why = error.with_causes();
    let done = match before {
        Some(member) if member.current.is_there() => {
            let back = fleet.rollback(name).map_err(Error::from).and_then(|_| {
                service::allow_paths(fleet, name)?;
                match member.runs {
                    true => service::restart(fleet, name),
                    false => service::stop(fleet, name),
                }
            });
            match back {
                Ok(()) => "the version before it is back".to_owned(),
                Err(error) => format!("and the version before it is not back: {error}"),
            }
        }
        _ => {
            let _ = service::stop(fleet, name);
            "it is new here, and was stopped".to_owned()
        }
    };
    Error::new(error.kind(), format!("{why}; {done}"))
}
