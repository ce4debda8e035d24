//! What lies between the VMs of a host and those that are declared, and how it is closed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use host::fleet::{Fleet, Keep, Member};
use spec::names::VmName;

use crate::declared::{Declared, DeclaredVm};
use crate::difference::Difference;
use crate::error::{Error, Kind, OrKind, Result};
use crate::places::Places;
use crate::service;
use crate::verbs::say;

/// Where it is kept who was declared, inside the state directory.
const MARKS: &str = "declared";

/// What stands there until the VM was started for the first time.
const TO_START: &str = "start\n";

/// One thing to be done.
pub enum Step<'a> {
    Install(&'a DeclaredVm),
    /// As far as it is known without building.
    Update(&'a DeclaredVm, Difference),
    /// It was installed by hand, and is the configuration's from now on.
    TakeOver(&'a DeclaredVm),
    Autostart(&'a DeclaredVm),
    /// It was installed, and its first start is still to come: all start at once, in the end.
    Start(&'a DeclaredVm),
    /// No longer declared.
    Stop(VmName),
}

impl Step<'_> {
    pub fn name(&self) -> &VmName {
        match self {
            Self::Install(vm)
            | Self::Update(vm, _)
            | Self::TakeOver(vm)
            | Self::Autostart(vm)
            | Self::Start(vm) => &vm.name,
            Self::Stop(name) => name,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Install(_) => "install",
            Self::Update(..) => "update",
            Self::TakeOver(_) => "take-over",
            Self::Autostart(_) => "autostart",
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
        }
    }
}

impl std::fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name();
        match self {
            Self::Install(vm) if vm.autostart => {
                write!(f, "{name}: install from {}, and start", vm.origin.shown())
            }
            Self::Install(vm) => write!(f, "{name}: install from {}", vm.origin.shown()),
            Self::Update(vm, difference) => {
                let restart = if vm.restart_if_changed {
                    ", and restart"
                } else {
                    ""
                };
                let details = difference.to_string();
                write!(f, "{name}: update{restart}\n{}", details.trim_end())
            }
            Self::TakeOver(vm) => {
                write!(
                    f,
                    "{name}: was installed by hand; take over from {}",
                    vm.origin.shown()
                )
            }
            Self::Autostart(vm) if vm.autostart => write!(f, "{name}: start with the host"),
            Self::Autostart(_) => write!(f, "{name}: start with the host no longer"),
            Self::Start(_) => write!(f, "{name}: start"),
            Self::Stop(_) => write!(f, "{name}: is no longer declared; stop, and keep its data"),
        }
    }
}

/// Everything to be done, each VM's own in its order; what is wrong with a VM comes instead of it.
pub fn plan<'a>(
    declared: &'a Declared,
    fleet: &Fleet,
    places: &Places,
) -> Vec<std::result::Result<Step<'a>, (VmName, Error)>> {
    let mut steps = Vec::new();
    for vm in &declared.vms {
        match plan_one(vm, fleet, places) {
            Ok(found) => steps.extend(found.into_iter().map(Ok)),
            Err(error) => steps.push(Err((vm.name.clone(), error))),
        }
    }
    let names: BTreeSet<&VmName> = declared.vms.iter().map(|vm| &vm.name).collect();
    let gone = marked(fleet).into_iter();
    let gone =
        gone.filter(|name| !names.contains(name) && fleet.find(name).is_ok_and(|m| m.is_some()));
    steps.extend(gone.map(|name| Ok(Step::Stop(name))));
    steps
}

fn plan_one<'a>(vm: &'a DeclaredVm, fleet: &Fleet, places: &Places) -> Result<Vec<Step<'a>>> {
    let Some(member) = fleet.find(&vm.name)? else {
        vm.origin.check(&vm.name, places)?;
        return Ok(vec![Step::Install(vm)]);
    };
    let mut steps = Vec::new();
    if !is_marked(fleet, &vm.name) || member.managed == vm.update.is_some() {
        steps.push(Step::TakeOver(vm));
    } else if vm.update.is_none() {
        let difference = vm
            .origin
            .difference(&vm.name, member.current.path(), places)?;
        if !difference.is_empty() || !member.current.is_there() {
            steps.push(Step::Update(vm, difference));
        }
    }
    if member.autostart != vm.autostart {
        steps.push(Step::Autostart(vm));
    }
    if awaits_start(fleet, vm, &member) {
        steps.push(Step::Start(vm));
    }
    Ok(steps)
}

/// Does one thing. Each is whole when it is done, so that what was cut off is gone on with.
pub fn carry_out(step: &Step<'_>, fleet: &Fleet, places: &Places) -> Result<()> {
    match step {
        Step::Install(vm) => install(vm, fleet, places),
        Step::Update(vm, _) | Step::TakeOver(vm) => update(vm, fleet, places),
        Step::Autostart(vm) => service::set_autostart(fleet, &vm.name, vm.autostart),
        // By `start_all`.
        Step::Start(_) => Ok(()),
        Step::Stop(name) => stop(name, fleet),
    }
}

/// Starts what was installed and was not started yet, all at once.
pub fn start_all(declared: &Declared, fleet: &Fleet) -> Result<ExitCode> {
    let waits = |vm: &&DeclaredVm| {
        let member = fleet.find(&vm.name);
        member.is_ok_and(|member| member.is_some_and(|member| awaits_start(fleet, vm, &member)))
    };
    let waiting: Vec<&DeclaredVm> = declared.vms.iter().filter(waits).collect();
    crate::fleet::for_each_at_once(&waiting, |vm| {
        service::start(fleet, &vm.name)?;
        mark(fleet, &vm.name, "")
    })
}

fn awaits_start(fleet: &Fleet, vm: &DeclaredVm, member: &Member) -> bool {
    let mark = std::fs::read_to_string(fleet.own_path(MARKS).join(&*vm.name));
    vm.autostart && !member.runs && mark.is_ok_and(|mark| mark == TO_START)
}

fn install(vm: &DeclaredVm, fleet: &Fleet, places: &Places) -> Result<()> {
    let ready = vm.origin.build(&vm.name, places, false)?;
    mark(fleet, &vm.name, if vm.autostart { TO_START } else { "" })?;
    let kept = vm.update.as_ref().unwrap_or(&vm.origin);
    ready.create(fleet, &vm.name, kept, vm.update.is_none())?;
    if vm.autostart {
        service::set_autostart(fleet, &vm.name, true)?;
    }
    Ok(())
}

fn update(vm: &DeclaredVm, fleet: &Fleet, places: &Places) -> Result<()> {
    let ready = vm.origin.build(&vm.name, places, false)?;
    if !is_marked(fleet, &vm.name) {
        mark(fleet, &vm.name, "")?;
    }
    let kept = vm.update.as_ref().unwrap_or(&vm.origin);
    ready.update(fleet, &vm.name, kept, vm.update.is_none())?;
    let member: Member = fleet.member(&vm.name)?;
    match (member.is_behind(), vm.restart_if_changed) {
        (true, true) => service::restart(fleet, &vm.name)?,
        (true, false) => say(format!(
            "`{0}` runs the version before; `microvm restart {0}` starts this one",
            vm.name
        )),
        (false, _) => {}
    }
    Ok(())
}

/// What the guest wrote stays, for when it is declared again.
fn stop(name: &VmName, fleet: &Fleet) -> Result<()> {
    match service::stop(fleet, name) {
        Err(error) if error.kind() == Kind::Escalated => {
            error.print_and_code();
        }
        other => other?,
    }
    if fleet.member(name)?.autostart {
        service::set_autostart(fleet, name, false)?;
    }
    fleet.remove(name, Keep::Data)?;
    service::forget(fleet, name)?;
    unmark(fleet, name)
}

/// A VM that is installed by hand is not the configuration's, whatever was before.
pub fn unmark(fleet: &Fleet, name: &VmName) -> Result<()> {
    match std::fs::remove_file(fleet.own_path(MARKS).join(&**name)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.or_kind(Kind::Storage),
    }
}

fn mark(fleet: &Fleet, name: &VmName, text: &str) -> Result<()> {
    let mark = fleet.own(MARKS)?.join(&**name);
    std::fs::write(&mark, text).or_kind(Kind::Storage)
}

/// Forgets who was declared once and is not there any more.
pub fn sweep(declared: &Declared, fleet: &Fleet) -> Result<()> {
    let is_declared = |name: &VmName| declared.vms.iter().any(|vm| vm.name == *name);
    for name in marked(fleet) {
        if !is_declared(&name) && fleet.find(&name)?.is_none() {
            unmark(fleet, &name)?;
        }
    }
    Ok(())
}

fn is_marked(fleet: &Fleet, name: &VmName) -> bool {
    fleet.own_path(MARKS).join(&**name).exists()
}

fn marked(fleet: &Fleet) -> Vec<VmName> {
    let dir = fleet.own_path(MARKS);
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<VmName> = names
        .filter_map(|name| VmName::try_from(name).ok())
        .collect();
    names.sort();
    names
}

/// The host's configuration, unless another is named.
pub const FILE: &str = "/etc/microvm/host.toml";

/// Opens what is declared, and the state directory that it is for.
pub fn open(file: &Path, state: &crate::fleet::StateDir) -> Result<(Declared, Fleet)> {
    let declared = Declared::read(file)?;
    let dir = match &declared.state_dir {
        Some(dir) if !state.is_given() => dir.clone(),
        _ => state.path(),
    };
    Ok((declared, crate::fleet::open(&dir)?))
}
