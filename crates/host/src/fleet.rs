//! The VMs of a host: a directory each, whose links say what is installed, what runs and what was
//! before. It follows no link out of what is its own, and never guesses which half of a change
//! that was cut off was meant.
//!
//! A change is decided at one instant, when its record is renamed into place; what it does is
//! then done, now or by the next command. Beside the VMs, `.microvm` has what is not theirs:
//! `changes`, `locks`, `run` and `logs`.

mod accepted;
mod adoption;
mod change;
mod error;
pub(crate) mod fault;
pub(crate) mod files;
mod guard;
mod legacy;
mod member;
mod mend;
mod nix_roots;
mod perform;
mod removal;

use std::path::{Path, PathBuf};

use spec::names::VmName;

use crate::lock::RunLock;
use crate::service::Part;

pub use adoption::Adopted;
pub use change::Verb;
pub use error::Error;
pub use guard::Guard;
pub use legacy::{Fate, Leftover};
pub use member::{Member, Version};
pub use mend::Mended;
pub use removal::{Contents, Keep, SESSION_KEY};

/// Where what is not the VMs' own is, inside the state directory.
const OWN: &str = ".microvm";

/// Who owns the directories of VMs, so that a hypervisor without privileges can make its volumes
/// in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user who runs this program.
    Invoker,
    /// The group may make files, and the sticky bit keeps it from replacing those of root.
    Group(u32),
}

impl Owner {
    /// The group `kvm` where root looks after the VMs and the host has that group.
    pub fn here() -> Self {
        match crate::user::group_id("kvm") {
            Some(group) if crate::user::is_root() => Self::Group(group),
            _ => Self::Invoker,
        }
    }
}

/// The state directory of a host's VMs.
#[derive(Clone, Debug)]
pub struct Fleet {
    dir: PathBuf,
    owner: Owner,
}

impl Fleet {
    /// The directory need not be there.
    pub fn new(dir: &Path, owner: Owner) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(|source| Error::io("find", dir, source))?;
        Ok(Self { dir, owner })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a VM is, or would be.
    pub fn dir_of(&self, name: &VmName) -> PathBuf {
        self.dir.join(&**name)
    }

    /// Names of what is installed, in order; directories without a package are not.
    pub fn names(&self) -> Result<Vec<VmName>, Error> {
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| Error::io("read", &self.dir, source))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| Error::io("read", &self.dir, source))?;
            // A link is nobody's VM, wherever it leads.
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name().into_string().ok();
            let name = name.and_then(|name| VmName::try_from(name).ok());
            let Some(name) = name.filter(|_| is_directory) else {
                continue;
            };
            let current = entry.path().join("current");
            if std::fs::symlink_metadata(current).is_ok_and(|meta| meta.is_symlink()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// What is installed under a name.
    pub fn member(&self, name: &VmName) -> Result<Member, Error> {
        Member::read(self, name)?.ok_or_else(|| Error::NotInstalled {
            name: name.to_string(),
            dir: self.dir.clone(),
        })
    }

    /// The same; `None` where there is none.
    pub fn find(&self, name: &VmName) -> Result<Option<Member>, Error> {
        Member::read(self, name)
    }

    /// Whether a VM runs: its hypervisor holds a lock, its own or the one of its keeper.
    pub fn runs(&self, name: &VmName) -> bool {
        RunLock::check(&self.dir_of(name), name).is_err()
            || Part::Hypervisor
                .process(&self.own_path("run"), name)
                .is_some()
    }

    /// Number of its hypervisor's process; `None` where it does not run, or runs unseen.
    pub fn pid(&self, name: &VmName) -> Option<u32> {
        let process = || Part::Hypervisor.process(&self.own_path("run"), name);
        RunLock::holder(&self.dir_of(name), name).or_else(|| Some(process()?.pid()))
    }

    /// A place for what is not a VM's own, such as `logs`; made where it is absent.
    pub fn own(&self, what: &str) -> Result<PathBuf, Error> {
        let dir = self.own_path(what);
        files::make_directories(&dir)?;
        Ok(dir)
    }

    /// The same, where nothing is to be made.
    pub fn own_path(&self, what: &str) -> PathBuf {
        self.dir.join(OWN).join(what)
    }
}

/// A name as somebody gave it.
pub fn name(text: &str) -> Result<VmName, Error> {
    VmName::try_from(text.to_owned()).map_err(|invalid| Error::Name {
        name: text.to_owned(),
        accepted: invalid.accepted,
    })
}

#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;
