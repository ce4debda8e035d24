//! A temporary directory of a build, with a part that another user of a namespace can reach and
//! a part that only we can.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use crate::error::{Error, io_at};
use crate::process::Tool;
use crate::store::remove_tree;

/// The name by which the program knows that it is the hook.
const HOOK_NAME: &str = "microvm-image-hook";

/// Deleted with all that is in it, also what belongs to users of a namespace.
pub(crate) struct WorkDir {
    dir: Option<TempDir>,
    path: PathBuf,
}

impl WorkDir {
    /// In TMPDIR, else in `/var/tmp`: `/tmp` is often in memory, and a guest's tree is large.
    pub(crate) fn new() -> Result<Self, Error> {
        let parent = std::env::var_os("TMPDIR").map_or("/var/tmp".into(), PathBuf::from);
        let dir = tempfile::Builder::new()
            .prefix("microvm-")
            .rand_bytes(12)
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(&parent)
            .map_err(io_at("create a directory in", &parent))?;
        let path = dir.path().to_owned();
        let work = Self {
            dir: Some(dir),
            path,
        };
        for (name, mode) in [("private", 0o700), ("repository", 0o755), ("unpack", 0o755)] {
            let sub = work.path.join(name);
            fs::create_dir(&sub)
                .and_then(|()| fs::set_permissions(&sub, Permissions::from_mode(mode)))
                .map_err(io_at("create", &sub))?;
        }
        Ok(work)
    }

    /// Nobody else can enter it.
    pub(crate) fn private(&self) -> PathBuf {
        self.path.join("private")
    }

    /// For packages, which everybody may read.
    pub(crate) fn repository(&self) -> PathBuf {
        self.path.join("repository")
    }

    /// Where mmdebstrap makes its tree.
    pub(crate) fn unpack(&self) -> PathBuf {
        self.path.join("unpack")
    }

    /// The program under the hook's name; copied where the hook runs as another user, who may not
    /// reach the program itself.
    pub(crate) fn hook(&self, exe: &Path, other_user: bool) -> Result<PathBuf, Error> {
        let hook = self.path.join(HOOK_NAME);
        let made = match other_user {
            true => fs::copy(exe, &hook)
                .and_then(|_| fs::set_permissions(&hook, Permissions::from_mode(0o755))),
            false => symlink(exe, &hook),
        };
        made.map_err(io_at("copy", exe))?;
        Ok(hook)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        let path = dir.keep();
        if remove_tree(&path).is_ok() {
            return;
        }
        // Cut off, mmdebstrap leaves files of users that exist only in its namespace.
        let _ = Tool::new("mmdebstrap", "mmdebstrap")
            .args(["--unshare-helper", "rm", "-rf", "--"])
            .args([self.unpack()])
            .run(&AtomicBool::new(false), &mut |_, _| {});
        if let Err(error) = remove_tree(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot delete a temporary directory");
        }
    }
}
