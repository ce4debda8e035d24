//! What must not meet: mount points, tags and sockets.

use super::unique::Unique;
use crate::problem::{Kind, Problem};
use crate::read::Definition;
use crate::vm::RootShare;

/// The tag of the share that the root comes through.
const STORE: &str = "store";

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    mount_points(vm, problems);
    overlay(vm, problems);
    tags(vm, problems);
    socket_paths(vm, problems);
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
            if vm.is_given() {
                continue;
            }
            if path == "/" {
                problems.push(
                    Problem::about(&option, "`/` would hide the guest's own files")
                        .value(path)
                        .hint("`writableStoreOverlay` keeps changes to all of them on a volume"),
                );
            }
            problems.extend(in_kernels(path, &option));
        }
    }
}

/// Nothing lasts below the file systems of the guest's kernel.
fn in_kernels(path: &str, option: &str) -> Option<Problem> {
    let top = ["/dev", "/proc", "/sys"].into_iter().find(|top| {
        path.strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })?;
    let message = format!("`{path}` is hidden: `{top}` belongs to the guest's kernel");
    Some(Problem::about(option, message).value(path))
}

/// File systems that overlayfs cannot write to: they keep no extended attributes, or no changes.
const NO_OVERLAY: [&str; 8] = [
    "vfat", "fat", "msdos", "exfat", "ntfs", "erofs", "squashfs", "iso9660",
];

/// What is mounted at `writableStoreOverlay` has to hold the upper directory of an overlayfs.
fn overlay(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    const OPTION: &str = "writableStoreOverlay";
    let Some(path) = vm.vm.text(OPTION).filter(|_| !vm.is_given()) else {
        return;
    };
    let about = |message: String| Problem::about(OPTION, message).value(path);
    if path == "/" {
        let problem = about("`/` is what the overlay is for".to_owned());
        problems.push(problem.accepted("a directory below, such as `/persist`"));
    }
    problems.extend(in_kernels(path, OPTION));
    let here = |list| {
        let mounted = vm.vm.items(list).enumerate();
        mounted.filter(|(_, mounted)| mounted.text("mountPoint") == Some(path))
    };
    for (index, _) in here("shares") {
        let message = format!("`{path}` is where `shares[{index}]` is mounted");
        problems.push(about(message).accepted("the mount point of a volume, or of nothing"));
    }
    for (index, volume) in here("volumes") {
        let fs_type = volume.text("fsType").unwrap_or_default();
        if volume.bool("readOnly") {
            problems.push(about(format!(
                "`volumes[{index}]` at `{path}` is read-only"
            )));
        } else if NO_OVERLAY.contains(&fs_type) {
            let message = format!(
                "`volumes[{index}]` at `{path}` has {fs_type}, which cannot hold an overlay"
            );
            problems.push(about(message).accepted("a volume with ext4, xfs or btrfs"));
        }
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

/// The same path by the shortest way, as far as its text tells; for comparing only.
pub fn plain(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", names.join("/"))
}

/// The sockets of a VM, written or by default, each with its option.
pub fn sockets(vm: &Definition<'_>) -> impl Iterator<Item = (String, String)> + use<> {
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
    all.into_iter()
        .filter_map(|(option, socket)| Some((option, socket?)))
}

fn socket_paths(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mut unique = Unique::new("a socket");
    for (option, socket) in sockets(vm) {
        unique.add(&plain(&socket), &option, problems);
        // A long VM name or tag makes a long default.
        if socket.len() > 107 {
            let message = format!(
                "`{socket}` has {} bytes, and a socket's path at most 107",
                socket.len()
            );
            let problem = Problem::about(option, message).kind(Kind::Value);
            problems.push(problem.value(socket));
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a.img", "a.img")]
    #[case("./x//../a.img", "a.img")]
    #[case("../a.img", "../a.img")]
    #[case("/srv//./a.img", "/srv/a.img")]
    fn shortest(#[case] path: &str, #[case] short: &str) {
        assert_eq!(plain(path), short);
    }
}
