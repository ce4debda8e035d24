//! Processes that hold the lock of a VM, wherever that runs: each has it open at a number that
//! nothing else uses.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use spec::names::VmName;

use super::Kernel;
use crate::lock;

/// A process with the lock of a VM, which [`crate::lock::RunLock`] says more of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub vm: VmName,
    /// The state directory.
    pub dir: PathBuf,
    /// Whom the process runs as.
    pub uid: u32,
}

impl Kernel {
    /// All that may be seen; a process that ends meanwhile is not told of.
    pub fn holders(&self) -> Vec<Holder> {
        let entries = fs::read_dir(self.root.join("proc"));
        let entries = entries.into_iter().flatten().flatten();
        let mut holders: Vec<Holder> = entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                holder(&entry.path(), pid)
            })
            .collect();
        holders.sort_by(|a, b| (&a.vm, &a.dir).cmp(&(&b.vm, &b.dir)));
        holders
    }
}

/// Where a shell left descriptors open at the first number, the lock is at a later one.
const TRIES: i32 = 4;

fn holder(process: &Path, pid: u32) -> Option<Holder> {
    for number in lock::FIRST_FD..lock::FIRST_FD + TRIES {
        let open = fs::read_link(process.join(format!("fd/{number}"))).ok()?;
        if let Some((dir, vm)) = of_path(&open) {
            let uid = fs::metadata(process).ok()?.uid();
            return Some(Holder { pid, vm, dir, uid });
        }
    }
    None
}

/// `DIR/NAME.lock`; one that was removed has words after it.
fn of_path(path: &Path) -> Option<(PathBuf, VmName)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".lock")?;
    let vm = VmName::try_from(name.to_owned()).ok()?;
    Some((path.parent()?.to_owned(), vm))
}
