//! A user's own tree, made writable without being changed: an overlay whose changes are in
//! memory, in a mount namespace that ends with the build.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

use crate::error::{Error, io_at};

const NONE: Option<&str> = None;
/// Devices that programs in the tree may need.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The tree, and an empty directory to work in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Overlay {
    pub(crate) tree: PathBuf,
    pub(crate) work: PathBuf,
}

impl Overlay {
    /// Mounts it with proc, sys and devices, as the guest's own programs need them.
    ///
    /// The process must have a mount and a pid namespace of its own.
    pub(super) fn mount(&self) -> Result<PathBuf, Error> {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        at("/", mount(NONE, "/", NONE, private, NONE))?;
        at(
            &self.work,
            mount(NONE, &self.work, Some("tmpfs"), MsFlags::empty(), NONE),
        )?;
        let dir = |name: &str| -> Result<PathBuf, Error> {
            let dir = self.work.join(name);
            fs::create_dir(&dir).map_err(io_at("create", &dir))?;
            Ok(dir)
        };
        // Bound to a name of ours: a comma or colon in the tree's own would end the option.
        let lower = dir("lower")?;
        at(
            &self.tree,
            mount(Some(&self.tree), &lower, NONE, MsFlags::MS_BIND, NONE),
        )?;
        let (upper, work, root) = (dir("upper")?, dir("work")?, dir("root")?);
        copy_mode(&lower, &upper)?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        mount_overlay(&root, &options)?;
        mount_system(&root)?;
        Ok(root)
    }
}

/// In a user namespace the overlay must keep its marks in `user.` attributes.
fn mount_overlay(root: &Path, options: &str) -> Result<(), Error> {
    let mount = |options: &str| {
        let kind = Some("overlay");
        mount(kind, root, kind, MsFlags::empty(), Some(options))
    };
    let plain = mount(options);
    let done = plain.or_else(|errno| match errno {
        Errno::EPERM | Errno::EINVAL => mount(&format!("{options},userxattr")),
        other => Err(other),
    });
    at(root, done)
}

fn mount_system(root: &Path) -> Result<(), Error> {
    for name in ["proc", "dev", "sys"] {
        let dir = root.join(name);
        if !dir.is_dir() {
            fs::create_dir(&dir).map_err(io_at("create", &dir))?;
        }
    }
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    at(
        "proc",
        mount(NONE, &root.join("proc"), Some("proc"), quiet, NONE),
    )?;
    let dev = root.join("dev");
    at(
        &dev,
        mount(
            NONE,
            &dev,
            Some("tmpfs"),
            MsFlags::MS_NOSUID,
            Some("mode=755"),
        ),
    )?;
    for name in DEVICES {
        let (host, guest) = (Path::new("/dev").join(name), dev.join(name));
        fs::write(&guest, "").map_err(io_at("create", &guest))?;
        at(
            &host,
            mount(Some(&host), &guest, NONE, MsFlags::MS_BIND, NONE),
        )?;
    }
    Ok(())
}

/// The root directory's mode and owner are those of the upper one.
fn copy_mode(from: &Path, to: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{MetadataExt, chown};
    let metadata = from.metadata().map_err(io_at("read", from))?;
    fs::set_permissions(to, metadata.permissions()).map_err(io_at("create", to))?;
    chown(to, Some(metadata.uid()), Some(metadata.gid())).map_err(io_at("create", to))
}

fn at(path: impl AsRef<Path>, done: nix::Result<()>) -> Result<(), Error> {
    done.map_err(|errno| io_at("mount", path.as_ref())(errno.into()))
}
