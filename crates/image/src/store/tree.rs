//! Whole trees of files: making them read-only, flushing, deleting.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::{Error, io_at};

/// Takes away every right to write; execute bits stay.
pub(super) fn make_read_only(path: &Path) -> Result<(), Error> {
    let metadata = path.symlink_metadata().map_err(io_at("read", path))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.is_dir() {
        for child in children(path).map_err(io_at("read", path))? {
            make_read_only(&child)?;
        }
    }
    let mode = if metadata.is_dir() || metadata.mode() & 0o111 != 0 {
        0o555
    } else {
        0o444
    };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io_at("protect", path))
}

/// Flushes a file, or a directory and the file system that it is on: one call is faster than
/// one for each of a kernel's thousands of modules.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    let file = File::open(path).map_err(io_at("open", path))?;
    let has_content = path.is_dir() && children(path).is_ok_and(|c| c.iter().any(|c| c.is_dir()));
    let done = if has_content && !is_store(path) {
        nix::unistd::syncfs(&file).map_err(io::Error::from)
    } else {
        file.sync_all()
    };
    done.map_err(io_at("flush", path))
}

/// A store's own directory changes only by names: its entries were flushed before.
fn is_store(path: &Path) -> bool {
    path.join(".refs").is_dir()
}

/// Deletes a file or a tree, read-only directories as well; what is not there is no error.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    open_directories(path)?;
    fs::remove_dir_all(path)
}

fn open_directories(dir: &Path) -> io::Result<()> {
    if dir.symlink_metadata()?.mode() & 0o700 != 0o700 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    for child in children(dir)? {
        if child.symlink_metadata()?.is_dir() {
            open_directories(&child)?;
        }
    }
    Ok(())
}

/// Bytes that a tree takes on disk.
pub(super) fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0;
    };
    let below = if metadata.is_dir() {
        let children = children(path).unwrap_or_default();
        children.iter().map(|child| disk_usage(child)).sum()
    } else {
        0
    };
    let names = if metadata.is_dir() {
        1
    } else {
        metadata.nlink()
    };
    below + metadata.blocks() * 512 / names.max(1)
}

fn children(dir: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}
