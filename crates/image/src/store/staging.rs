//! An entry that is being made, under a temporary name.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::tree::{make_read_only, remove_tree, sync};
use crate::error::{Error, io_at};

/// How an entry is protected once it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// All of it is made read-only.
    ReadOnly,
    /// Modes inside are part of the content (a guest's tree); only the owner may enter, so that
    /// nobody on the host can run a guest's set-user-id programs.
    Private,
}

/// A private directory in the store; it is deleted unless it was installed.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
}

impl Staging {
    pub(super) fn new(store: &Path, entry: &str) -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix(&format!(".tmp-{entry}-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(store)
            .map_err(io_at("create a directory in", store))?;
        Ok(Self { dir: dir.keep() })
    }

    /// Where the entry is to be made, as a file or as a directory; in a directory that only
    /// this user may enter.
    pub fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// A place for what is needed only while the entry is made.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn install(self, seal: Seal, target: &Path) -> Result<PathBuf, Error> {
        let out = self.out();
        match seal {
            Seal::ReadOnly => make_read_only(&out)?,
            Seal::Private => fs::set_permissions(&out, Permissions::from_mode(0o500))
                .map_err(io_at("protect", &out))?,
        }
        sync(&out)?;
        // A directory must be writable to be given another parent.
        let directory = out.is_dir();
        if directory {
            let mode = Permissions::from_mode(0o700);
            fs::set_permissions(&out, mode).map_err(io_at("prepare", &out))?;
        }
        fs::rename(&out, target).map_err(io_at("install", target))?;
        if directory {
            let mode = if seal == Seal::Private { 0o500 } else { 0o555 };
            fs::set_permissions(target, Permissions::from_mode(mode))
                .map_err(io_at("protect", target))?;
        }
        sync(target.parent().expect("entries lie in the store"))?;
        Ok(target.to_owned())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.dir) {
            tracing::debug!(%error, "left for the next collection");
        }
    }
}
