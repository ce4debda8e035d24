//! Starts and stops the VMs of the state directory, and says how it went.

use std::io::Write;
use std::path::{Path, PathBuf};

use host::fleet::{Fleet, Version};
use host::service::sight::{self, Unseen};
use host::service::{Ended, Log, Services, Systemd, sandbox};
use spec::names::VmName;

use crate::error::{Error, Kind, OrKind, Result};
use crate::fleet;
use crate::log_objects::Objects;
use crate::places::Places;
use crate::runner::Runner;
use crate::session_key;
use crate::verbs::say;

fn services(fleet: &Fleet) -> Result<Services> {
    Ok(Services::of(fleet, &own_program()?))
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().or_kind(Kind::Other)
}

pub fn start(fleet: &Fleet, name: &VmName) -> Result<()> {
    let member = fleet::member(fleet, name)?;
    if let Version::Gone(path) = &member.current {
        let message = format!("The package of `{name}`, `{}`, is gone", path.display());
        let error = Error::new(Kind::NotFound, message);
        return Err(error.hint(format!("`microvm update {name}` builds it again")));
    }
    fleet::keep_from_gc(fleet, name, &Places::of_this_user())?;
    allow_paths(fleet, name)?;
    if let Some(unseen) = unseen(fleet, name)? {
        let hint = unseen.hint();
        return Err(Error::new(Kind::Missing, unseen).hint(hint));
    }
    let services = services(fleet)?;
    // With systemd the unit does it, whoever starts that.
    if matches!(services, Services::Own(_)) && !member.runs {
        session_key::renew(fleet, name, member.current.path());
    }
    let started = services.start(fleet, name);
    match started.map_err(|error| with_hint(error, name))? {
        true => say(format!("`{name}` runs")),
        false => say(format!("`{name}` runs already")),
    }
    Ok(())
}

/// Has a VM's unit allow what the VM declares, and no more than that; nothing without systemd.
pub fn allow_paths(fleet: &Fleet, name: &VmName) -> Result<()> {
    let Some(systemd) = Systemd::with_units_for(fleet.dir()) else {
        return Ok(());
    };
    let package = fleet.member(name)?.current.into_path();
    let paths = match crate::package::is_own(&package) {
        true => sandbox::Paths::of(Runner::open(&package)?.vm()),
        // What another program's package writes is for its own drop-in to say.
        false => sandbox::Paths::default(),
    };
    if sandbox::allow(Path::new("/"), name, &paths)? {
        systemd.reload()?;
    }
    Ok(())
}

/// What the VM is started from and its unit does not see; nothing without systemd.
pub fn unseen(fleet: &Fleet, name: &VmName) -> Result<Option<Unseen>> {
    let Some(systemd) = Systemd::with_units_for(fleet.dir()) else {
        return Ok(None);
    };
    let package = fleet.member(name)?.current.into_path();
    let mut files = vec![package.join("bin/microvm-run")];
    if crate::package::is_own(&package) {
        let guest = crate::package::read(&package)?.guest;
        files.extend([guest.kernel, guest.initrd]);
        files.extend(guest.store_disk);
    }
    Ok(sight::unseen(&systemd, name, &files))
}

/// Says it of a VM that was just installed.
pub fn say_if_unseen(fleet: &Fleet, name: &VmName) -> Result<()> {
    if let Some(unseen) = unseen(fleet, name)? {
        eprintln!("microvm: {unseen}; it cannot be started as a service");
        eprintln!("hint: {}", unseen.hint());
    }
    Ok(())
}

/// Has nobody start a VM again that failed and does not run now.
pub fn give_up(fleet: &Fleet, name: &VmName) -> Result<()> {
    Ok(services(fleet)?.give_up(name)?)
}

/// What is left beside the directory of a VM that is removed.
pub fn forget(fleet: &Fleet, name: &VmName) -> Result<()> {
    session_key::forget(fleet, name);
    match Systemd::with_units_for(fleet.dir()) {
        Some(systemd) if sandbox::forget(Path::new("/"), name)? => Ok(systemd.reload()?),
        _ => Ok(()),
    }
}

fn with_hint(error: host::service::Error, name: &VmName) -> Error {
    let is_of_the_vm = error.kind() == host::Kind::Hypervisor;
    let error = Error::from(error);
    match is_of_the_vm {
        true => error.hint(format!("`microvm logs {name}` shows what it said")),
        false => error,
    }
}

/// One that does not run is stopped already.
pub fn stop(fleet: &Fleet, name: &VmName) -> Result<()> {
    fleet::member(fleet, name)?;
    match services(fleet)?.stop(fleet, name)? {
        Ended::NotRunning => say(format!("`{name}` does not run")),
        Ended::Graceful => say(format!("`{name}` has shut itself down")),
        Ended::Escalated => {
            let message = format!("`{name}` did not shut itself down in time and was ended");
            return Err(Error::new(Kind::Escalated, message));
        }
    }
    Ok(())
}

/// What did not shut itself down is started again all the same.
pub fn restart(fleet: &Fleet, name: &VmName) -> Result<()> {
    match stop(fleet, name) {
        Err(error) if error.kind() == Kind::Escalated => {
            error.print_and_code();
        }
        other => other?,
    }
    start(fleet, name)
}

pub fn set_autostart(fleet: &Fleet, name: &VmName, on: bool) -> Result<()> {
    Ok(services(fleet)?.set_autostart(fleet, name, on)?)
}

/// Whether something starts those that are to start with the host.
pub fn starts_with_the_host(fleet: &Fleet) -> bool {
    Systemd::with_units_for(fleet.dir()).is_some()
}

/// Tells a systemd that has just got its units what starts with the host.
pub fn enable_all(systemd: &Systemd, fleet: &Fleet) -> Result<()> {
    for name in fleet.names()? {
        if fleet.member(&name).is_ok_and(|member| member.autostart) {
            systemd.enable(&name, true)?;
        }
    }
    Ok(())
}

/// Has nothing start with the host, where nothing runs that its units would be missed by.
pub fn disable_all(systemd: &Systemd, fleet: &Fleet) -> Result<()> {
    let names = fleet.names()?;
    if let Some(name) = names.iter().find(|name| fleet.runs(name)) {
        let name = name.to_string();
        let hint = format!("`microvm stop {name}` stops it");
        return Err(Error::from(host::fleet::Error::Running { name }).hint(hint));
    }
    names
        .iter()
        .try_for_each(|name| Ok(systemd.enable(name, false)?))
}

pub fn print_log(
    fleet: &Fleet,
    name: &VmName,
    lines: Option<usize>,
    follow: bool,
    json: bool,
) -> Result<()> {
    if let Services::Systemd(systemd) = services(fleet)? {
        return Ok(systemd.print_log(name, lines, follow, json)?);
    }
    let mut output: Box<dyn Write> = match json {
        true => Box::new(Objects::new(name, std::io::stdout())),
        false => Box::new(std::io::stdout()),
    };
    let ended = || !fleet.runs(name);
    Log::of(fleet, name)
        .print(lines, follow, &mut output, &ended)
        .map_err(|error| {
            let absent = matches!(error, host::service::Error::NoLog { .. });
            let error = Error::from(error);
            match absent {
                true => error.hint(format!("`microvm start {name}` starts it")),
                false => error,
            }
        })
}
