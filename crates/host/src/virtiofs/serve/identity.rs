//! Which users of the host the users of a guest are, where the daemon is not root.

use std::path::Path;

use virtiofsd::idmap::{GidMap, UidMap};
use virtiofsd::sandbox::SandboxMode;

use super::Extra;
use crate::{program, user};

/// Maps for the daemon's user namespace: root of the guest is this user; its other users are
/// this user's subordinate ids, where the host has given some and has the programs for it.
pub fn maps(extra: &Extra) -> (Vec<UidMap>, Vec<GidMap>) {
    let given = !extra.uid_map.is_empty() || !extra.gid_map.is_empty();
    if given || user::is_root() || extra.sandbox != SandboxMode::Namespace {
        return (extra.uid_map.clone(), extra.gid_map.clone());
    }
    let outside_uid = nix::unistd::geteuid().as_raw();
    let outside_gid = nix::unistd::getegid().as_raw();
    let mut uids = vec![UidMap {
        inside_uid: 0,
        outside_uid,
        count: 1,
    }];
    let mut gids = vec![GidMap {
        inside_gid: 0,
        outside_gid,
        count: 1,
    }];
    if let Some((uid, gid)) = subordinate() {
        uids.push(UidMap {
            inside_uid: 1,
            outside_uid: uid.0,
            count: uid.1,
        });
        gids.push(GidMap {
            inside_gid: 1,
            outside_gid: gid.0,
            count: gid.1,
        });
    }
    (uids, gids)
}

type Range = (u32, u32);

fn subordinate() -> Option<(Range, Range)> {
    let programs = ["newuidmap", "newgidmap"];
    let usable = programs.iter().all(|name| program::find(name).is_ok())
        && !nix::sys::prctl::get_no_new_privs().unwrap_or(true);
    usable.then_some(())?;
    let uids = user::subordinate_ids(Path::new("/etc/subuid"))?;
    Some((uids, user::subordinate_ids(Path::new("/etc/subgid"))?))
}
