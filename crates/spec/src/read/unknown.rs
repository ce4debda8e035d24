//! What was probably meant by an option that does not exist.

use crate::options::shape::Shape;
use crate::options::{below, meant, nearest};
use crate::problem::Problem;
use crate::tree::{Entry, Value};

/// Options of MicroVM.nix's host module.
const OF_THE_HOST: [&str; 14] = [
    "autostart",
    "config",
    "evaluatedConfig",
    "extraModules",
    "flake",
    "host",
    "nixpkgs",
    "pkgs",
    "restartIfChanged",
    "specialArgs",
    "startupTimeout",
    "stateDir",
    "updateFlake",
    "vms",
];

/// Completes the problem of an unknown member of `shape`, which is the VM itself where `at_root`.
pub fn explain(problem: &mut Problem, entry: &Entry, shape: &'static Shape, at_root: bool) {
    if let Some(advice) = advice(entry).filter(|_| at_root) {
        problem.hint = Some(advice);
        return;
    }
    if let Some(near) = meant(&entry.key, shape) {
        problem.nearest = Some(near.to_owned());
        return;
    }
    if !at_root {
        let known: Vec<String> = shape
            .members()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        problem.accepted = Some(known.join(", "));
    }
    problem.hint = elsewhere(entry, at_root);
}

/// For names that a distance would lead astray.
fn advice(entry: &Entry) -> Option<String> {
    let name = entry.key.as_str();
    Some(match name {
        "microvm" => "leave out `microvm.`: its options stand directly in `[vm.NAME]`".to_owned(),
        "balloonMem" => {
            "it is gone; `balloon = true` adds a balloon, and `initialBalloonMem` is what it holds at the start".to_owned()
        }
        "extraArgs" | "package" => {
            format!("each hypervisor has its own, such as `qemu.{name}`")
        }
        _ if OF_THE_HOST.contains(&name) => {
            format!("`{name}` is an option of the host, not of a VM")
        }
        _ => return None,
    })
}

fn elsewhere(entry: &Entry, at_root: bool) -> Option<String> {
    match nearest(&entry.key) {
        Some(option) if option.contains('.') || !at_root => {
            Some(format!("there is an option `{option}`"))
        }
        _ if !at_root => None,
        _ if matches!(entry.node.value, Value::Table(_)) => Some(format!(
            "for a VM whose name has a dot, write `[vm.\"NAME.{}\"]`; `microvm options` lists all options",
            entry.key
        )),
        _ => Some(format!("`microvm options` lists all {}", below("").count())),
    }
}
