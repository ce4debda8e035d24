//! Whom hypervisors run as.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use serde::{Deserialize, Serialize};

use crate::user;

/// Name of the user, and of its group.
pub const USER: &str = "microvm";
pub const GROUP: &str = "kvm";

/// A user without privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `microvm` and `kvm`, where root starts hypervisors and the host has them; else hypervisors
    /// run as who starts them.
    pub fn here() -> Option<Self> {
        if !user::is_root() {
            return None;
        }
        Some(Self {
            uid: user::user_id(USER)?,
            gid: user::group_id(GROUP)?,
        })
    }

    pub(super) fn uid(self) -> u32 {
        self.uid
    }

    pub(super) fn gid(self) -> u32 {
        self.gid
    }

    #[cfg(test)]
    pub(super) fn of(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }

    /// Has a program run as this user.
    pub fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Makes this process this user's, for good.
    pub fn assume(self) -> std::io::Result<()> {
        let gid = Gid::from_raw(self.gid);
        setgroups(&[gid])?;
        setgid(gid)?;
        setuid(Uid::from_raw(self.uid))?;
        Ok(())
    }
}

/// Makes the user and its group where they are absent: by systemd-sysusers(8) from the file that
/// `microvm host install` wrote, else by useradd(8).
pub fn make_user() -> Result<(), super::Error> {
    if user::user_id(USER).is_some() && user::group_id(GROUP).is_some() {
        return Ok(());
    }
    if let Ok(program) = crate::program::find("systemd-sysusers") {
        return call(&program, &["/etc/sysusers.d/microvm.conf"]);
    }
    let find = |name: &str| {
        crate::program::find(name).map_err(|missing| super::Error::Run {
            program: missing.program.into(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    };
    if user::group_id(GROUP).is_none() {
        call(&find("groupadd")?, &["--system", GROUP])?;
    }
    let options = ["--system", "--no-create-home", "--home-dir", "/", "--shell"];
    let rest = ["/usr/sbin/nologin", "--gid", GROUP, USER];
    call(&find("useradd")?, &[&options[..], &rest[..]].concat())
}

fn call(program: &std::path::Path, arguments: &[&str]) -> Result<(), super::Error> {
    let run = |source| super::Error::Run {
        program: program.to_owned(),
        source,
    };
    let status = Command::new(program)
        .args(arguments)
        .status()
        .map_err(run)?;
    match status.success() {
        true => Ok(()),
        false => Err(super::Error::Program {
            program: program.display().to_string(),
            status,
        }),
    }
}
