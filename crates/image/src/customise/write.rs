//! Writing into a tree: files are replaced whole, never written through a link.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

use crate::error::{Error, io_at};

/// Replaces `path` by a file; missing directories above it are made with mode 0755.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    replace_from(path, &mut &content[..], mode)
}

/// As [`replace`], with the content read from somewhere.
pub(super) fn replace_from(path: &Path, content: &mut dyn Read, mode: u32) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    directory(parent)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = parent.join(format!(".{name}.microvm-new"));
    remove(&temp)?;
    let written = write_new(&temp, content, mode).and_then(|()| fs::rename(&temp, path));
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written.map_err(io_at("write", path))
}

fn write_new(path: &Path, content: &mut dyn Read, mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    io::copy(content, &mut file)?;
    // Not by the mode of creation: that is subject to the umask.
    file.set_permissions(Permissions::from_mode(mode))
}

/// Makes a directory and those above it, with mode 0755 where they are missing.
pub(super) fn directory(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        directory(parent)?;
    }
    fs::create_dir(path).map_err(io_at("create", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(io_at("create", path))
}

pub(super) fn mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(io_at("change the mode of", path))
}

/// Gives a file to a user of the guest. Who is not root cannot give files away; what they
/// make is theirs, as in this crate's tests.
pub(super) fn own(path: &Path, uid: u32, gid: u32) -> Result<(), Error> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    lchown(path, Some(uid), Some(gid)).map_err(io_at("change the owner of", path))
}

/// Replaces `path` by a link.
pub(super) fn link(path: &Path, target: &str) -> Result<(), Error> {
    directory(path.parent().unwrap_or(Path::new("/")))?;
    remove(path)?;
    symlink(target, path).map_err(io_at("create", path))
}

/// Deletes a file or a link, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(()),
        done => done.map_err(io_at("delete", path)),
    }
}

/// Deletes what is in a directory, which stays.
pub(super) fn empty(dir: &Path) -> Result<(), Error> {
    for child in list(dir) {
        crate::store::remove_tree(&child).map_err(io_at("delete", &child))?;
    }
    Ok(())
}

/// What is in a directory, sorted; nothing where there is none.
pub(super) fn list(dir: &Path) -> Vec<std::path::PathBuf> {
    if dir.is_symlink() {
        return Vec::new();
    }
    let mut children: Vec<_> = fs::read_dir(dir)
        .map(|children| children.flatten().map(|child| child.path()).collect())
        .unwrap_or_default();
    children.sort();
    children
}
