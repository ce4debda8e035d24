//! Shares: options that only the other protocol has.

use crate::problem::Problem;
use crate::read::{Definition, View};

/// MicroVM.nix passes over these; a complete guest that comes from it is not asked about them.
pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    problems.extend(closure(vm));
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

/// The daemon built in is what shows a part of the store.
fn closure(vm: &Definition<'_>) -> Option<Problem> {
    const OPTION: &str = "guest.storeClosure";
    let about = |message| Some(Problem::about(OPTION, message));
    if !vm.vm.is_set(OPTION) {
        return None;
    }
    let is_store = |share: View<'_>| {
        share.text("source") == Some("/nix/store") && share.text("proto") == Some("virtiofs")
    };
    if !vm.vm.items("shares").any(is_store) {
        return about("There is no virtiofs share of `/nix/store` to show a part of")
            .map(|problem| problem.hint("add one with `proto = \"virtiofs\"`, or remove this"));
    }
    if vm.vm.is_set("virtiofsd.package") {
        return about("A daemon of `virtiofsd.package` shows all of `/nix/store`")
            .map(|problem| problem.hint("remove one of the two"));
    }
    None
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
