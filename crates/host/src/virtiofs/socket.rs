//! The listening socket of a share.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::stat::{Mode, umask};

use super::{Error, Served};
use crate::{socket, user};

/// A socket file that goes with its listener.
#[derive(Debug)]
pub struct Listening {
    pub listener: UnixListener,
    path: PathBuf,
}

impl Listening {
    /// Binds the socket of a share: for its owner alone, or for a group as well.
    pub fn bind(share: &Served, group: Option<&str>) -> Result<Self, Error> {
        socket::remove_stale(&share.socket)?;
        let failed = |source| Error::Listen {
            tag: share.tag.clone(),
            socket: share.socket.clone(),
            source,
        };
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(&share.socket);
        umask(before);
        let listening = Self {
            listener: bound.map_err(failed)?,
            path: share.socket.clone(),
        };
        if let Some(group) = group {
            listening.give_to(group).map_err(failed)?;
        }
        Ok(listening)
    }

    /// An ordinary user may not be in the group, and needs no group: the hypervisor runs as the
    /// same user.
    fn give_to(&self, group: &str) -> std::io::Result<()> {
        let Some(gid) = user::group_id(group) else {
            tracing::debug!("group `{group}` is not there; the socket is its owner's alone");
            return Ok(());
        };
        match std::os::unix::fs::chown(&self.path, None, Some(gid)) {
            Err(_) if !user::is_root() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                let mode = std::fs::Permissions::from_mode(0o660);
                std::fs::set_permissions(&self.path, mode)
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
