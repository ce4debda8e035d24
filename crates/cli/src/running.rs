//! Keeps the package of a running VM from `microvm gc`: a link per process, beside the store.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use image::store::Store;

use crate::error::{Kind, OrKind, Result};

/// Removed when the VM has ended.
pub struct Kept {
    link: PathBuf,
}

/// Links the package under this process' number, and roots the link.
pub fn keep(store: &Store, package: &Path) -> Result<Kept> {
    let directory = directory(store);
    std::fs::create_dir_all(&directory).or_kind(Kind::Storage)?;
    let link = directory.join(std::process::id().to_string());
    // A process that died with this number left it.
    let _ = std::fs::remove_file(&link);
    symlink(package, &link).or_kind(Kind::Storage)?;
    store.add_root(&link)?;
    Ok(Kept { link })
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.link);
    }
}

/// Forgets what processes left that are no more.
pub fn sweep(store: &Store) {
    for entry in std::fs::read_dir(directory(store))
        .into_iter()
        .flatten()
        .flatten()
    {
        let process = Path::new("/proc").join(entry.file_name());
        if !process.exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn directory(store: &Store) -> PathBuf {
    store.dir().parent().unwrap_or(store.dir()).join("running")
}
