//! What the hook is told, and how it is handed over.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

use super::overlay::Overlay;
use crate::customise::{Container, Customisation, Debian};
use crate::disk::DiskMaker;
use crate::error::{Error, io_at};
use crate::process::Tool;

/// Everything that the hook does to a tree.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Instructions {
    /// Set where the tree is the user's own, which is not to be changed.
    pub(crate) overlay: Option<Overlay>,
    /// Packages whose modules go into the tree.
    pub(crate) kernel_packages: Vec<PathBuf>,
    /// A directory `RELEASE` of modules that goes into the tree.
    pub(crate) modules: Option<PathBuf>,
    /// Set where the tree was made from packages.
    pub(crate) debian: Option<Debian>,
    /// Set where the tree is a container image's.
    pub(crate) container: Option<Container>,
    pub(crate) customisation: Customisation,
    pub(crate) output: Output,
}

/// What becomes of the tree.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Output {
    /// An image in the third descriptor, which is this file.
    Disk { maker: DiskMaker, file: PathBuf },
    /// A copy in this directory.
    Tree(PathBuf),
}

/// mmdebstrap has scripts with its own descriptors in them, which dash takes only below 10: ours
/// must leave those free.
const LOWEST_FD: RawFd = 100;

/// Three files that a started program inherits.
pub(crate) struct Handover {
    fds: [RawFd; 3],
}

impl Handover {
    /// `dir` must be one that only this user can enter: the files in it are open to whoever
    /// holds a descriptor.
    pub(crate) fn new(
        dir: &Path,
        instructions: &Instructions,
        contents: &Path,
        out: &Path,
    ) -> Result<Self, Error> {
        let json = dir.join("instructions");
        let text = serde_json::to_vec(instructions).expect("instructions have only string keys");
        fs::write(&json, text).map_err(io_at("write", &json))?;
        let inherited = |path: &Path| inherited(path).map_err(io_at("open", path));
        Ok(Self {
            fds: [inherited(&json)?, inherited(contents)?, inherited(out)?],
        })
    }

    /// Lets the program be the hook, or start it; `self` must live until it was started.
    pub(crate) fn pass_to(&self, tool: Tool) -> Tool {
        let numbers = self.fds.map(|fd| fd.to_string());
        tool.env(super::ENV, numbers.join(","))
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        for fd in self.fds {
            let _ = nix::unistd::close(fd);
        }
    }
}

/// Opens a file, made where it is absent, as a descriptor that programs inherit.
fn inherited(path: &Path) -> io::Result<RawFd> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o666))?;
    Ok(fcntl(&file, FcntlArg::F_DUPFD(LOWEST_FD))?)
}
