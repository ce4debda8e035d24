//! Fills a new volume with what the image has at its mount point.
//!
//! Without it a volume at /var would hide the package database and every directory that a package
//! made there. A mark in the volume makes a copy that was cut off start again.

use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{Gid, Uid};

use crate::Result;
use crate::failure::Failure;
use crate::mounting::holds_something;

const MARK: &str = ".microvm-filling";

/// Copies `image` to `volume` where that is empty, or where an earlier copy was cut off.
pub fn fill_if_empty(image: &Path, volume: &Path) -> Result<()> {
    let mark = volume.join(MARK);
    if holds_something(volume) && !mark.exists() {
        return Ok(());
    }
    let filled = File::create(&mark)
        .and_then(|_| copy_entries(image, volume))
        .and_then(|()| copy_attributes(image, volume))
        .and_then(|()| {
            nix::unistd::sync();
            fs::remove_file(&mark)
        });
    filled.map_err(|error| {
        Failure::new(format!(
            "Cannot fill the new volume at `{}` with the image's files: {error}",
            image.display()
        ))
    })
}

fn copy_entries(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &PathBuf) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        match fs::create_dir(to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => done?,
        }
        copy_entries(from, to)?;
        return copy_attributes(from, to);
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return std::os::unix::fs::lchown(to, Some(metadata.uid()), Some(metadata.gid()));
    }
    if kind.is_file() {
        fs::copy(from, to)?;
    } else {
        let node = SFlag::from_bits_truncate(metadata.mode() & SFlag::S_IFMT.bits());
        mknod(
            to,
            node,
            Mode::from_bits_truncate(metadata.mode()),
            metadata.rdev(),
        )?;
    }
    copy_attributes(from, to)
}

/// Owner, then mode (a change of owner clears set-user-id), then times.
fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    nix::unistd::chown(
        to,
        Some(Uid::from_raw(metadata.uid())),
        Some(Gid::from_raw(metadata.gid())),
    )?;
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    if metadata.is_dir() || metadata.is_file() {
        let times = FileTimes::new()
            .set_accessed(metadata.accessed()?)
            .set_modified(metadata.modified()?);
        File::open(to)?.set_times(times)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_volume_is_filled_and_a_used_one_is_left() {
        let base = std::env::temp_dir().join(format!("microvm-seed-{}", std::process::id()));
        let (image, volume) = (base.join("image"), base.join("volume"));
        fs::create_dir_all(image.join("lib/dpkg")).unwrap();
        fs::create_dir_all(volume.join("lost+found")).unwrap();
        fs::write(image.join("lib/dpkg/status"), "x").unwrap();
        symlink("/run", image.join("run")).unwrap();
        fs::set_permissions(image.join("lib"), fs::Permissions::from_mode(0o2750)).unwrap();

        fill_if_empty(&image, &volume).unwrap();
        assert_eq!(
            fs::read_to_string(volume.join("lib/dpkg/status")).unwrap(),
            "x"
        );
        assert_eq!(
            fs::read_link(volume.join("run")).unwrap(),
            Path::new("/run")
        );
        assert_eq!(
            fs::metadata(volume.join("lib")).unwrap().mode() & 0o7777,
            0o2750
        );
        assert!(!volume.join(MARK).exists());

        fs::remove_file(volume.join("run")).unwrap();
        fill_if_empty(&image, &volume).unwrap();
        assert!(fs::symlink_metadata(volume.join("run")).is_err());

        File::create(volume.join(MARK)).unwrap();
        fill_if_empty(&image, &volume).unwrap();
        assert!(fs::symlink_metadata(volume.join("run")).is_ok());
        fs::remove_dir_all(&base).unwrap();
    }
}
