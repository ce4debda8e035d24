//! What must not meet: mount points, tags and sockets.

use super::unique::Unique;
use crate::problem::Problem;
use crate::read::Definition;
use crate::vm::RootShare;

/// The tag of the share that the root comes through.
const STORE: &str = "store";

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    mount_points(vm, problems);
    tags(vm, problems);
    sockets(vm, problems);
}

fn mount_points(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mut unique = Unique::new("a mount point");
    for list in ["volumes", "shares"] {
        for (index, mounted) in vm.vm.items(list).enumerate() {
            let option = format!("{list}[{index}].mountPoint");
            let Some(path) = mounted.text("mountPoint") else {
                continue;
            };
            unique.add(path, &option, problems);
            if path == "/" && !vm.is_given() {
                problems.push(
                    Problem::about(option, "`/` would hide the guest's own files")
                        .value(path)
                        .hint("`writableStoreOverlay` keeps changes to all of them on a volume"),
                );
            }
        }
    }
    if vm.vm.text("writableStoreOverlay") == Some("/") && !vm.is_given() {
        let problem = Problem::about("writableStoreOverlay", "`/` is what the overlay is for");
        problems.push(
            problem
                .value("/")
                .accepted("a directory below, such as `/persist`"),
        );
    }
}

fn tags(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mut unique = Unique::new("a tag");
    for (index, share) in vm.vm.items("shares").enumerate() {
        let option = format!("shares[{index}].tag");
        let Some(tag) = share.text("tag") else {
            continue;
        };
        unique.add(tag, &option, problems);
        if tag == STORE && !vm.is_given() && vm.root_share().is_some() {
            let message = "`store` is the tag of the share that the root comes through";
            problems.push(
                Problem::about(option, message)
                    .value(tag)
                    .hint("with `storeOnDisk = true` there is no such share"),
            );
        }
    }
}

fn sockets(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mut all = vec![("socket".to_owned(), vm.socket())];
    all.push(("graphics.socket".to_owned(), vm.graphics_socket()));
    for (index, share) in vm.vm.items("shares").enumerate() {
        all.push((format!("shares[{index}].socket"), vm.share_socket(share)));
    }
    if vm.root_share() == Some(RootShare::Virtiofs) && !vm.is_given() {
        all.push((
            "storeOnDisk".to_owned(),
            Some(format!("{}-virtiofs-{STORE}.sock", vm.name)),
        ));
    }
    let mut unique = Unique::new("a socket");
    for (option, socket) in all {
        let Some(socket) = socket else {
            continue;
        };
        unique.add(super::volumes::plain(&socket), &option, problems);
        // One that is written was measured already; a long VM name or tag makes a long default.
        if socket.len() > 107 && !vm.vm.is_set("socket") {
            let message = format!(
                "`{socket}` has {} bytes, and a socket's path at most 107",
                socket.len()
            );
            problems.push(Problem::about(option, message).value(socket));
        }
    }
}
