//! Does what a record says.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use spec::names::VmName;

use super::change::After;
use super::{Error, Fleet, Owner, fault, files, member, removal};

impl Fleet {
    /// Brings a directory to what a record says.
    pub(super) fn perform(&self, name: &VmName, after: &After) -> Result<(), Error> {
        let dir = self.dir_of(name);
        fault::point();
        match after {
            After::Installed {
                current,
                old,
                source,
                managed,
            } => {
                self.make_dir(&dir)?;
                fault::point();
                put(&dir.join("flake"), source.as_deref())?;
                let system = current.join("share/microvm/system");
                put_link(
                    &dir.join(member::MANAGED),
                    managed.then_some(system.as_path()),
                )?;
                put_link(&dir.join("old"), old.as_deref())?;
                // Last, for without it there is no VM.
                files::replace_link(&dir.join("current"), current)?;
                fault::point();
                Ok(())
            }
            After::Data => removal::remove_own(&dir, name),
            After::Nothing => removal::remove_all(&dir),
        }
    }

    /// Makes the directory of a VM, or takes over the one that an earlier VM left its data in.
    pub(super) fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        files::make_directories(&self.dir)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => member::own_directory(dir)?,
            done => done.map_err(|source| Error::io("make", dir, source))?,
        }
        let io = |source| Error::io("give away", dir, source);
        let mode = match self.owner {
            Owner::Invoker => 0o755,
            Owner::Group(group) => {
                let uid = fs::metadata(dir).map_err(io)?.uid();
                chown(dir, (uid != 0).then_some(0), Some(group)).map_err(io)?;
                0o1775
            }
        };
        fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(io)?;
        files::sync_parent(dir)
    }
}

fn put(path: &Path, text: Option<&str>) -> Result<(), Error> {
    match text {
        Some(text) => files::replace_file(path, &format!("{text}\n")),
        None => files::delete(path),
    }
}

fn put_link(link: &Path, target: Option<&Path>) -> Result<(), Error> {
    match target {
        Some(target) => files::replace_link(link, target),
        None => files::delete(link),
    }
}
