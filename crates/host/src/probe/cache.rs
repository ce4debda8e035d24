//! Small results that stay true until a file changes or the machine restarts.
//!
//! A cache that cannot be read or written costs time, never an error.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    mtime_ns: i128,
    size: u64,
    inode: u64,
    device: u64,
}

impl Stamp {
    /// `None` where the file cannot be looked at.
    pub fn of(path: &Path) -> Option<Self> {
        let meta = path.metadata().ok()?;
        Some(Self {
            mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
            size: meta.size(),
            inode: meta.ino(),
            device: meta.dev(),
        })
    }
}

/// What was stored; `None` where it is absent or corrupt.
pub fn load<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// Stores for later; readers see the old or the new content, never a part.
pub fn store<T: Serialize>(file: &Path, value: &T) {
    if let Err(error) = try_store(file, value) {
        tracing::debug!("cache `{}` was not written: {error}", file.display());
    }
}

fn try_store<T: Serialize>(file: &Path, value: &T) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(&serde_json::to_vec(value)?)?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrupt_and_absent_are_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/x.json");
        assert_eq!(load::<u32>(&file), None);
        store(&file, &7);
        assert_eq!(load::<u32>(&file), Some(7));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(load::<u32>(&file), None);
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[test]
    fn a_changed_file_has_another_stamp() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = Stamp::of(file.path()).unwrap();
        std::fs::write(file.path(), "x").unwrap();
        assert_ne!(Some(before), Stamp::of(file.path()));
    }
}
