//! The state directory and its VMs.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use host::fleet::{Fleet, Member, Version};

use super::Finding;
use crate::package;
use crate::runner::Runner;

pub fn state(fleet: &Fleet) -> Vec<Finding> {
    const WHAT: &str = "state directory";
    let dir = fleet.dir().display().to_string();
    let names = match fleet.names() {
        Ok(names) => names,
        Err(error) => return vec![Finding::wrong(WHAT, error.to_string())],
    };
    let mut findings = Vec::new();
    for name in &names {
        match fleet.member(name) {
            Ok(member) => findings.extend(vm(fleet, &member)),
            Err(error) => findings.push(Finding::wrong(&format!("vm {name}"), error.to_string())),
        }
    }
    findings.extend(broken_links(fleet));
    if findings.is_empty() {
        let message = format!("{} VMs in `{dir}`, nothing is amiss", names.len());
        findings.push(Finding::good(WHAT, message));
    }
    findings
}

fn vm(fleet: &Fleet, member: &Member) -> Vec<Finding> {
    let what = format!("vm {}", member.name);
    let dir = fleet.dir().display().to_string();
    let of_vm = |verb: &str| {
        let words = ["microvm", verb, "--state-dir", &dir, &member.name];
        words.map(str::to_owned)
    };
    let mut findings = Vec::new();
    if let Some(verb) = member.unfinished {
        let message = format!("{} was cut off", verb.noun());
        let list = ["microvm", "list", "--state-dir", &dir];
        findings.push(Finding::wrong(&what, message).mended_by(list));
    }
    if let Version::Gone(path) = &member.current {
        let message = format!("`current` leads to `{}`, which is gone", path.display());
        let finding = Finding::wrong(&what, message);
        findings.push(match (&member.source, &member.old) {
            (Some(_), _) => finding.mended_by(of_vm("update")),
            (None, Some(Version::There(_))) => finding.mended_by(of_vm("rollback")),
            _ => finding,
        });
    }
    if let Ok(Some(unseen)) = crate::service::unseen(fleet, &member.name) {
        let message = format!("{unseen}; {}", unseen.hint());
        findings.push(Finding::wrong(&what, message));
    }
    if !member.runs {
        if member.booted.is_some() {
            let message = "`booted` is there, though it does not run";
            let link = member.dir.join("booted").display().to_string();
            findings.push(Finding::wrong(&what, message).mended_by(["rm", "--", &link]));
        }
        let stale = stale_sockets(member);
        if !stale.is_empty() {
            let paths = stale.iter().map(|path| path.display().to_string());
            let command = ["rm", "--"].map(str::to_owned).into_iter().chain(paths);
            let message = format!("{} sockets are left of a run that was cut off", stale.len());
            findings.push(Finding::wrong(&what, message).mended_by(command));
        }
    }
    findings
}

/// What it says of a VM that stops or starts this very moment is true by the next look.
fn stale_sockets(member: &Member) -> Vec<PathBuf> {
    if !package::is_own(member.current.path()) {
        return Vec::new();
    }
    let Ok(runner) = Runner::in_directory(member.current.path(), &member.dir) else {
        return Vec::new();
    };
    let control = runner.control();
    let sockets = control
        .sockets()
        .into_iter()
        .map(|socket| member.dir.join(socket));
    sockets
        .filter(|path| path.starts_with(&member.dir))
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()))
        .collect()
}

/// A link where a VM's directory would be is nobody's.
fn broken_links(fleet: &Fleet) -> Vec<Finding> {
    let entries = fs::read_dir(fleet.dir()).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links
        .map(|link| {
            let path = link.path().display().to_string();
            Finding::wrong(
                "state directory",
                format!("`{path}` is a link, which no VM is"),
            )
        })
        .collect()
}
