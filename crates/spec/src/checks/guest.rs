//! What is in the guest.

use super::unique::Unique;
use crate::problem::Problem;
use crate::read::Definition;

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    if vm.vm.is_set("guest.debian") && vm.vm.is_set("guest.directory") {
        problems.push(
            Problem::about("guest.directory", "The guest is built from Debian already")
                .hint("keep one of `guest.debian` and `guest.directory`"),
        );
    }
    if vm.vm.is_set("storeDisk") && !vm.is_given() {
        problems.push(
            Problem::about(
                "storeDisk",
                "A store disk made elsewhere needs its kernel and initrd",
            )
            .accepted("`kernel` as a path, and `initrdPath`"),
        );
    }
    users(vm, problems);
    files(vm, problems);
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
        let message = match (file.is_set("text"), file.is_set("source")) {
            (true, true) => "The file has both `text` and `source`",
            (false, false) => "The file has neither `text` nor `source`",
            _ => continue,
        };
        problems.push(Problem::about(option, message).accepted("one of `text` and `source`"));
    }
}
