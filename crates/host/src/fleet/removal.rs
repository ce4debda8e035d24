//! Deletes what a VM has on this host, and nothing that is only mounted there or linked to.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, openat2, unlinkat};
use rustix::io::Errno;
use spec::names::VmName;

use super::member::{AUTOSTART, MANAGED, own_directory};
use super::{Error, Fleet, fault, files};
use crate::lock::RunLock;

/// What stays of a VM that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Volumes, and whatever else the guest or its user put there.
    Data,
    Nothing,
}

/// What a VM's directory holds beside what the program put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Names, in order.
    pub data: Vec<OsString>,
}

/// In the order of their removal: without `current` there is no VM.
const OWN: [&str; 7] = [
    "current",
    AUTOSTART,
    "booted",
    "old",
    MANAGED,
    "flake",
    SESSION_KEY,
];

/// The public half of the key by which a run of the VM lets its host in.
pub const SESSION_KEY: &str = ".session-key.pub";

impl Fleet {
    /// What would be lost with a VM.
    pub fn contents(&self, name: &VmName) -> Result<Contents, Error> {
        let dir = self.member(name)?.dir;
        let entries = fs::read_dir(&dir).map_err(|source| Error::io("read", &dir, source))?;
        let lock = OsString::from(format!("{name}.lock"));
        let mut data: Vec<OsString> = entries
            .flatten()
            .map(|entry| entry.file_name())
            .filter(|name| !OWN.iter().any(|own| name == *own) && *name != lock)
            .collect();
        data.sort();
        Ok(Contents { data })
    }
}

/// Removes what the program put into a VM's directory, and leaves the rest.
pub(super) fn remove_own(dir: &Path, name: &VmName) -> Result<(), Error> {
    match own_directory(dir) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    for own in OWN {
        files::delete(&dir.join(own))?;
        fault::point();
    }
    RunLock::remove_ended(dir, name);
    // Where there was no data, nothing stays.
    let _ = fs::remove_dir(dir);
    Ok(())
}

/// Removes a VM's directory.
pub(super) fn remove_all(dir: &Path) -> Result<(), Error> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(());
    };
    let parent_fd = match fs::File::open(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        parent_fd => parent_fd.map_err(|source| Error::io("open", parent, source))?,
    };
    // First, so that what is half removed is no VM.
    files::delete(&dir.join("current"))?;
    fault::point();
    remove_directory(&parent_fd.into(), name, dir)?;
    fault::point();
    files::sync_parent(dir)
}

/// Refuses a directory in which something is mounted.
pub(super) fn no_mount_points(dir: &Path) -> Result<(), Error> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read(table).map_err(|source| Error::io("read", table, source))?;
    let dir = dir
        .canonicalize()
        .map_err(|source| Error::io("find", dir, source))?;
    match mount_points(&text).find(|point| point.starts_with(&dir)) {
        Some(path) => Err(Error::MountPoint { path }),
        None => Ok(()),
    }
}

/// The fifth field of each line; see proc_pid_mountinfo(5).
fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let field = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(field))))
    })
}

/// White space and backslashes are written as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let byte = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match byte.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// Goes down by descriptors: a link that appears meanwhile is deleted, not followed.
fn remove_directory(parent: &OwnedFd, name: &OsStr, shown: &Path) -> Result<(), Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    let opened = match openat2(parent, name, flags, Mode::empty(), resolve) {
        // Linux 5.5 and earlier: mount points were looked for before.
        Err(Errno::NOSYS) => rustix::fs::openat(parent, name, flags, Mode::empty()),
        other => other,
    };
    let dir = match opened {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::XDEV) => {
            return Err(Error::MountPoint {
                path: shown.to_owned(),
            });
        }
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(files::foreign(shown, "a directory")),
        dir => dir.map_err(|error| Error::io("open", shown, error.into()))?,
    };
    empty(&dir, shown)?;
    unlinkat(parent, name, AtFlags::REMOVEDIR)
        .map_err(|error| Error::io("delete", shown, error.into()))
}

fn empty(dir: &OwnedFd, shown: &Path) -> Result<(), Error> {
    let entries = Dir::read_from(dir).map_err(|error| Error::io("read", shown, error.into()))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("read", shown, error.into()))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let shown = shown.join(name);
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => remove_directory(dir, name, &shown)?,
            Err(error) => return Err(Error::io("delete", &shown, error.into())),
        }
        fault::point();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_spaces() {
        let table = b"22 1 0:21 / /sys rw - sysfs sysfs rw\n\
            30 1 8:1 /x /srv/a\\040b\\134c rw shared:1 - ext4 /dev/sda1 rw\n";
        let points: Vec<PathBuf> = mount_points(table).collect();
        assert_eq!(points, [Path::new("/sys"), Path::new("/srv/a b\\c")]);
    }
}
