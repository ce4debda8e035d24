//! What may be installed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::program::is_executable;

/// The package itself, whatever links lead to it.
pub fn package_at(path: &Path) -> Result<PathBuf, Error> {
    let not_there = || Error::NotAPackage {
        path: path.to_owned(),
    };
    let package = path.canonicalize().map_err(|_| not_there())?;
    if !is_executable(&package.join("bin/microvm-run")) {
        return Err(not_there());
    }
    let uid = fs::metadata(&package).map_err(|_| not_there())?.uid();
    if crate::user::is_root() && uid != 0 {
        return Err(Error::Untrusted { path: package, uid });
    }
    Ok(package)
}

pub fn one_line(source: &str) -> Result<String, Error> {
    match source.contains(['\n', '\r', '\0']) {
        false => Ok(source.to_owned()),
        true => Err(Error::SourceText {
            source_text: source.escape_debug().to_string(),
        }),
    }
}
