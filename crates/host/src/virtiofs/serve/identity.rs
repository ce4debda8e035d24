//! Which users of the host the users of a guest are, where the daemon is not root.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use virtiofsd::idmap::{GidMap, UidMap};
use virtiofsd::sandbox::SandboxMode;

use super::Extra;
use crate::{program, user};

/// Maps for the daemon's user namespace: root of the guest is this user; its other users are
/// this user's subordinate ids, where the host has given some and has the programs for it.
///
/// A tree that was unpacked in such a namespace belongs to a subordinate id as its root; of that
/// one the guest's root is that id.
pub fn maps(extra: &Extra, source: &Path) -> (Vec<UidMap>, Vec<GidMap>) {
    let given = !extra.uid_map.is_empty() || !extra.gid_map.is_empty();
    if given || user::is_root() || extra.sandbox != SandboxMode::Namespace {
        return (extra.uid_map.clone(), extra.gid_map.clone());
    }
    let subordinate = subordinate();
    let owner = source.metadata().map_or(u32::MAX, |meta| meta.uid());
    let own = (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    );
    let uids = ranges(own.0, subordinate.map(|ranges| ranges.0), owner);
    // Of the group the same holds as of the owner, which decides.
    let foreign = uids.first().is_some_and(|first| first.1 != own.0);
    let group = if foreign {
        subordinate.map_or(u32::MAX, |ranges| ranges.1.0)
    } else {
        own.1
    };
    let gids = ranges(own.1, subordinate.map(|ranges| ranges.1), group);
    (
        uids.into_iter().map(uid_map).collect(),
        gids.into_iter().map(gid_map).collect(),
    )
}

/// First id and count.
type Range = (u32, u32);

/// Inside, outside, count: the guest's 0 first.
fn ranges(own: u32, subordinate: Option<Range>, owner: u32) -> Vec<(u32, u32, u32)> {
    match subordinate {
        None => vec![(0, own, 1)],
        // Mapped as well, or the way to the tree through this user's directories is barred.
        Some((first, count)) if owner == first => vec![(0, first, count), (count, own, 1)],
        Some((first, count)) => vec![(0, own, 1), (1, first, count)],
    }
}

fn uid_map((inside_uid, outside_uid, count): (u32, u32, u32)) -> UidMap {
    UidMap {
        inside_uid,
        outside_uid,
        count,
    }
}

fn gid_map((inside_gid, outside_gid, count): (u32, u32, u32)) -> GidMap {
    GidMap {
        inside_gid,
        outside_gid,
        count,
    }
}

fn subordinate() -> Option<(Range, Range)> {
    let programs = ["newuidmap", "newgidmap"];
    let usable = programs.iter().all(|name| program::find(name).is_ok())
        && !nix::sys::prctl::get_no_new_privs().unwrap_or(true);
    usable.then_some(())?;
    let uids = user::subordinate_ids(Path::new("/etc/subuid"))?;
    Some((uids, user::subordinate_ids(Path::new("/etc/subgid"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(None, 1000, &[(0, 1000, 1)])]
    #[case(Some((100_000, 65_536)), 1000, &[(0, 1000, 1), (1, 100_000, 65_536)])]
    #[case(Some((100_000, 65_536)), 100_000, &[(0, 100_000, 65_536), (65_536, 1000, 1)])]
    fn root_of_the_guest_owns_the_tree(
        #[case] subordinate: Option<Range>,
        #[case] owner: u32,
        #[case] expected: &[(u32, u32, u32)],
    ) {
        assert_eq!(ranges(1000, subordinate, owner), expected);
    }
}
