//! A small archive on disk that holds exactly the packages of one lock entry.
//!
//! Unsigned: apt checked the packages when it fetched them, and [`Pool`] checks each against its
//! hash again before it is put here.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::pool::{Pool, file_name};
use crate::error::{Error, io_at};
use crate::lock::{Entry, Package};

/// Writes the archive to `dir`, its suite called by the entry's codename.
pub(super) fn write(dir: &Path, entry: &Entry, pool: &Pool) -> Result<(), Error> {
    let packages_dir = format!("main/binary-{}", entry.arch);
    let dist = dir.join("dists").join(&entry.codename);
    for sub in [&dist.join(&packages_dir), &dir.join("pool")] {
        fs::create_dir_all(sub).map_err(io_at("create", sub))?;
    }
    let mut index = String::new();
    for package in &entry.packages {
        let location = place(dir, package, pool)?;
        let stanza = pool.stanza(package).ok_or_else(|| Error::Vanished {
            packages: vec![package.to_string()],
        })?;
        index += &stanza.located_at(&location);
        index.push('\n');
    }
    let release = release(entry, &packages_dir, &index);
    for (path, text) in [
        (dist.join(&packages_dir).join("Packages"), index),
        (dist.join("Release"), release),
    ] {
        fs::write(&path, text).map_err(io_at("write", &path))?;
    }
    Ok(())
}

/// Puts a package into the archive, without copying it where it is on the same file system.
pub(super) fn place(dir: &Path, package: &Package, pool: &Pool) -> Result<String, Error> {
    let location = format!("pool/{}", file_name(package));
    let (from, to) = (pool.path(package), dir.join(&location));
    if fs::hard_link(&from, &to).is_err() {
        fs::copy(&from, &to).map_err(io_at("write", &to))?;
    }
    Ok(location)
}

fn release(entry: &Entry, packages_dir: &str, index: &str) -> String {
    let codename = &entry.codename;
    let hash = Sha256::digest(index.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "Origin: microvm\nLabel: microvm\nSuite: {codename}\nCodename: {codename}\n\
         Architectures: {}\nComponents: main\nDate: Thu, 01 Jan 1970 00:00:00 UTC\nSHA256:\n \
         {hash} {} {packages_dir}/Packages\n",
        entry.arch,
        index.len(),
    )
}
