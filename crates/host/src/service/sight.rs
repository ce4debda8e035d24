//! What a VM's sandboxed unit does not see of the files that the VM is started from: its `/tmp` is
//! one of its own, and its user may not enter every directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use spec::names::VmName;

use super::account::{Account, USER};
use super::systemd::Systemd;
use crate::kind::Kind;

/// A file that is there, and not for the unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    #[error(
        "The unit of `{name}` does not see `{}`, for it has a `/tmp` of its own (`PrivateTmp`)",
        .path.display()
    )]
    Temporary { name: String, path: PathBuf },
    #[error(
        "The user `{USER}`, as whom `{name}` runs, may not enter `{}`, and so does not see `{}`",
        .directory.display(),
        .path.display()
    )]
    Closed {
        name: String,
        path: PathBuf,
        directory: PathBuf,
    },
}

impl Unseen {
    pub fn kind(&self) -> Kind {
        Kind::Missing
    }

    /// The ways out.
    pub fn hint(&self) -> String {
        let elsewhere = "or keep packages and program elsewhere: those that root builds are in \
                         `/var/lib/microvm/store`, unless `MICROVM_STORE` says otherwise";
        match self {
            Self::Temporary { .. } => format!(
                "`systemctl edit microvm@.service` with `PrivateTmp=no` below `[Service]` lets it \
                 see that, {elsewhere}"
            ),
            Self::Closed { directory, .. } => {
                format!("`chmod o+x {}` opens it, {elsewhere}", directory.display())
            }
        }
    }
}

/// Directories of which `PrivateTmp=` gives a unit others.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// The first of these files that a VM's unit would not see.
pub fn unseen(systemd: &Systemd, name: &VmName, files: &[PathBuf]) -> Option<Unseen> {
    let places = files.iter().map(|file| places(file));
    let places: Vec<PathBuf> = places.flatten().collect();
    let is_temporary = |path: &&PathBuf| TEMPORARY.iter().any(|dir| path.starts_with(dir));
    if let Some(path) = places.iter().find(is_temporary)
        && systemd.has_a_tmp_of_its_own(name)
    {
        return Some(Unseen::Temporary {
            name: name.to_string(),
            path: path.clone(),
        });
    }
    let account = Account::here()?;
    places.into_iter().find_map(|path| {
        let directory = closed(&path, |dir| may_enter(account, dir))?;
        Some(Unseen::Closed {
            name: name.to_string(),
            path,
            directory,
        })
    })
}

/// The path itself, and where it leads.
fn places(file: &Path) -> Vec<PathBuf> {
    let mut places = vec![file.to_owned()];
    places.extend(file.canonicalize().ok().filter(|real| real != file));
    places
}

/// The outermost directory above a path that may not be entered.
fn closed(path: &Path, may_enter: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let closed = above.into_iter().find(|dir| !may_enter(dir));
    closed.map(Path::to_owned)
}

/// By mode and owner; where there are access control lists, these are not in the way.
fn may_enter(account: Account, dir: &Path) -> bool {
    let Ok(meta) = fs::metadata(dir) else {
        return true;
    };
    let needed = match account {
        _ if account.uid() == meta.uid() => 0o100,
        _ if account.gid() == meta.gid() => 0o010,
        _ => 0o001,
    };
    meta.permissions().mode() & needed != 0 || has_list(dir)
}

fn has_list(dir: &Path) -> bool {
    let mut list = [0_u8; 4096];
    rustix::fs::getxattr(dir, "system.posix_acl_access", &mut list).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_closed_directory_is_named() {
        let path = Path::new("/home/me/store/package");
        let open = |dir: &Path| dir != Path::new("/home/me") && dir != Path::new("/home/me/store");
        assert_eq!(closed(path, open), Some(PathBuf::from("/home/me")));
        assert_eq!(closed(path, |_| true), None);
    }

    #[test]
    fn a_directory_is_entered_by_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |mode| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        let meta = fs::metadata(dir.path()).unwrap();
        let stranger = Account::of(meta.uid() + 1, meta.gid() + 1);
        let member = Account::of(meta.uid() + 1, meta.gid());
        mode(0o750);
        assert!(!may_enter(stranger, dir.path()) && may_enter(member, dir.path()));
        mode(0o701);
        assert!(may_enter(stranger, dir.path()) && !may_enter(member, dir.path()));
        mode(0o700);
    }

    #[test]
    fn links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert_eq!(places(&link), [link.clone(), "/etc/hostname".into()]);
    }
}
