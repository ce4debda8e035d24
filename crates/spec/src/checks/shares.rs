//! Shares: options that only the other protocol has.

use crate::problem::Problem;
use crate::read::{Definition, View};

/// MicroVM.nix passes over these; a complete guest that comes from it is not asked about them.
pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    if vm.is_given() {
        return;
    }
    for (index, share) in vm.vm.items("shares").enumerate() {
        let (other, options) = match share.text("proto") {
            Some("9p") => ("virtiofs", of_virtiofs(share)),
            Some("virtiofs") => ("9p", of_9p(share)),
            _ => continue,
        };
        for option in options {
            problems.push(
                Problem::about(
                    format!("shares[{index}].{option}"),
                    format!("Only a share with `proto = \"{other}\"` has this"),
                )
                .hint(format!("remove it, or set `proto = \"{other}\"`")),
            );
        }
    }
}

fn of_virtiofs(share: View<'_>) -> Vec<&'static str> {
    let set = [
        ("cache", share.text("cache") != Some("auto")),
        ("posixAcl", !share.bool("posixAcl")),
        ("extraArgs", !share.at("extraArgs").is_empty()),
        ("socket", share.is_set("socket")),
    ];
    let set = set.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(option, _)| option).collect()
}

fn of_9p(share: View<'_>) -> Vec<&'static str> {
    match share.text("securityModel") {
        Some("none") => Vec::new(),
        _ => vec!["securityModel"],
    }
}
