//! What is in the guest.

use super::unique::Unique;
use crate::problem::{Kind, Problem};
use crate::read::Definition;

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    sources(vm, problems);
    if vm.vm.is_set("storeDisk") && !vm.is_given() {
        problems.push(
            Problem::about(
                "storeDisk",
                "A store disk made elsewhere needs its kernel and initrd",
            )
            .accepted("`kernel` as a path, and `initrdPath`"),
        );
    }
    match vm.is_given() {
        true => given(vm, problems),
        false => built(vm, problems),
    }
    users(vm, problems);
    files(vm, problems);
}

/// A guest is made of one thing.
fn sources(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    const SOURCES: [(&str, &str); 3] = [
        ("guest.debian", "Debian"),
        ("guest.directory", "a directory"),
        ("guest.oci", "a container image"),
    ];
    let mut set = SOURCES.iter().filter(|(option, _)| vm.vm.is_set(option));
    if let Some((first, made_of)) = set.next() {
        for (option, _) in set {
            let message = format!("The guest is built from {made_of} already");
            problems.push(
                Problem::about(*option, message)
                    .hint(format!("keep one of `{first}` and `{option}`")),
            );
        }
    }
    for option in ["guest.ociInit", "guest.ociTlsVerify"] {
        if vm.vm.at(option).is_written() && !vm.vm.is_set("guest.oci") {
            problems.push(Problem::about(option, "Has no effect without `guest.oci`"));
        }
    }
}

/// What would go into a guest, where there is none to build.
fn given(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    const PUT_IN: [&str; 8] = [
        "rootPassword",
        "sshKeys",
        "users",
        "autologin",
        "files",
        "enable",
        "network",
        "run",
    ];
    for name in PUT_IN {
        let option = format!("guest.{name}");
        let written = vm.vm.at(&option);
        // A boolean `guest.enable` is the Nix side's.
        if written.is_empty() || vm.vm.own_bool(&option).is_some() {
            continue;
        }
        let message = "Has no effect: `kernel` and `initrdPath` bring a guest that is complete";
        problems.push(
            Problem::about(option, message).hint(
                "remove it, or give `guest.directory` or `guest.debian` to have a guest built",
            ),
        );
    }
}

fn built(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    if vm.vm.own_bool("guest.enable") == Some(false) {
        let problem = Problem::about(
            "guest.enable",
            "`false` means something to NixOS guests only",
        );
        problems.push(
            problem
                .value("false")
                .accepted("a list of the units that the guest starts"),
        );
    }
    // A directory or a command may bring users of its own.
    let own_tree = vm.vm.is_set("guest.directory") || vm.vm.is_set("guest.oci");
    let all_known = !own_tree && vm.vm.at("guest.run").is_empty();
    let autologin = vm.vm.text("guest.autologin").filter(|_| all_known);
    if let Some(name) = autologin.filter(|name| *name != "root") {
        let mut users = vm.vm.members("guest.users").map(|(name, _)| name);
        if !users.any(|user| user == name) {
            problems.push(
                Problem::about("guest.autologin", format!("The guest has no user `{name}`"))
                    .kind(Kind::Value)
                    .value(name)
                    .hint(format!("add `[vm.{}.guest.users.{name}]`", vm.name)),
            );
        }
    }
}

fn users(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mut uids = Unique::new("a uid");
    for (name, user) in vm.vm.members("guest.users") {
        if name == "root" {
            problems.push(
                Problem::about("guest.users.root", "Root is always there")
                    .hint("root has `guest.rootPassword` and `guest.sshKeys`"),
            );
        }
        if let Some(uid) = user.int("uid") {
            uids.add(
                &uid.to_string(),
                &format!("guest.users.{name}.uid"),
                problems,
            );
        }
    }
}

fn files(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    for (path, file) in vm.vm.members("guest.files") {
        let option = format!("guest.files.\"{path}\"");
        if path == "/" {
            let problem = Problem::about(&option, "`/` is a directory, not a file");
            problems.push(problem.value(path));
        }
        let message = match (file.is_set("text"), file.is_set("source")) {
            (true, true) => "The file has both `text` and `source`",
            (false, false) => "The file has neither `text` nor `source`",
            _ => continue,
        };
        problems.push(Problem::about(option, message).accepted("one of `text` and `source`"));
    }
}
