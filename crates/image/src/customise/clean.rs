//! Takes out of a tree what differs from build to build, and what belongs to one machine.

use std::fs;
use std::path::Path;

use super::write;
use crate::error::{Error, io_at};

/// Files that packages' scripts leave behind: copies of before, caches, indices with times in them.
const LEFTOVERS: [&str; 15] = [
    "etc/apt/apt.conf.d/00mmdebstrap",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "etc/.pwd.lock",
    "root/.bash_history",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/passwords.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
];
const EMPTIED: [&str; 4] = [
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/cache/man",
    "var/lib/apt/mirrors",
];
/// Where Python's byte code is, which has the order of hash tables in it.
const PYTHON: [&str; 3] = ["usr/lib", "usr/share", "usr/local/lib"];

/// What packages leave.
pub(super) fn packages(root: &Path) -> Result<(), Error> {
    for file in LEFTOVERS {
        write::remove(&root.join(file))?;
    }
    for file in ["statoverride-old", "available-old"] {
        write::remove(&root.join("var/lib/dpkg").join(file))?;
    }
    for dir in EMPTIED {
        write::empty(&root.join(dir))?;
    }
    empty_logs(&root.join("var/log"))?;
    for dir in PYTHON {
        remove_byte_code(&root.join(dir))?;
    }
    Ok(())
}

/// What a running machine leaves: devices, temporary files, its seed and its id.
pub(super) fn machine(root: &Path) -> Result<(), Error> {
    for dir in ["dev", "run", "tmp", "var/tmp", "proc", "sys"] {
        write::empty(&root.join(dir))?;
    }
    write::remove(&root.join("var/lib/systemd/random-seed"))?;
    write::replace(&root.join("etc/machine-id"), b"", 0o444)?;
    // dbus would make an id of its own.
    let dbus = root.join("var/lib/dbus/machine-id");
    if dbus
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_file())
    {
        write::link(&dbus, "/etc/machine-id")?;
    }
    Ok(())
}

/// Deletes log files and keeps directories, which have owners that daemons rely on.
fn empty_logs(dir: &Path) -> Result<(), Error> {
    for child in write::list(dir) {
        let metadata = child.symlink_metadata().map_err(io_at("read", &child))?;
        if metadata.is_dir() {
            empty_logs(&child)?;
        } else {
            write::remove(&child)?;
        }
    }
    Ok(())
}

fn remove_byte_code(dir: &Path) -> Result<(), Error> {
    for child in write::list(dir) {
        let metadata = child.symlink_metadata().map_err(io_at("read", &child))?;
        if !metadata.is_dir() {
            continue;
        }
        if child.file_name().is_some_and(|name| name == "__pycache__") {
            fs::remove_dir_all(&child).map_err(io_at("delete", &child))?;
        } else {
            remove_byte_code(&child)?;
        }
    }
    Ok(())
}
