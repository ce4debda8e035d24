//! Deletes what no root leads to.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::tree::{disk_usage, remove_tree};
use super::{Store, lock_exclusively};
use crate::error::{Error, io_at};

/// What a collection deleted, or would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub freed_bytes: u64,
    /// Entries and leftovers of builds that were cut off, sorted.
    pub paths: Vec<PathBuf>,
}

impl Store {
    /// Deletes every entry that no root leads to, directly or through references.
    ///
    /// Waits until no other process builds; ends this store's own session.
    pub fn gc(&self, dry_run: bool, interrupted: &AtomicBool) -> Result<Report, Error> {
        self.session
            .lock()
            .expect("no holder of this lock panics")
            .take();
        let _alone = lock_exclusively(&self.dir.join(".locks/session"), interrupted)?;
        let (roots, dangling) = self.read_roots()?;
        let live = self.closure(roots);
        let mut report = Report::default();
        for name in self.names()? {
            if !live.contains(&name) {
                self.collect(&name, dry_run, &mut report)?;
            }
        }
        if !dry_run {
            for root in dangling {
                fs::remove_file(&root).map_err(io_at("delete", &root))?;
            }
            self.forget_dead(&live)?;
        }
        Ok(report)
    }

    fn closure(&self, roots: Vec<String>) -> BTreeSet<String> {
        let mut live = BTreeSet::new();
        let mut open = roots;
        while let Some(entry) = open.pop() {
            let refs = fs::read_to_string(self.dir.join(".refs").join(&entry));
            if live.insert(entry) {
                open.extend(refs.unwrap_or_default().lines().map(str::to_owned));
            }
        }
        live
    }

    /// Everything that can be collected: entries and temporary names.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io_at("read", &self.dir))? {
            let entry = entry.map_err(io_at("read", &self.dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') || name.starts_with(".tmp-") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn collect(&self, name: &str, dry_run: bool, report: &mut Report) -> Result<(), Error> {
        let path = self.dir.join(name);
        report.freed_bytes += disk_usage(&path);
        report.paths.push(path.clone());
        if dry_run {
            return Ok(());
        }
        // Renamed first: cut off here, no half entry is left under a name that a build trusts.
        let doomed = if name.starts_with(".tmp-") {
            path
        } else {
            let doomed = self.dir.join(format!(".tmp-gone-{name}"));
            fs::rename(&path, &doomed).map_err(io_at("delete", &path))?;
            doomed
        };
        remove_tree(&doomed).map_err(io_at("delete", &doomed))
    }

    /// Deletes locks and references of entries that are not there.
    fn forget_dead(&self, live: &BTreeSet<String>) -> Result<(), Error> {
        for sub in [".refs", ".locks"] {
            let dir = self.dir.join(sub);
            for file in fs::read_dir(&dir).map_err(io_at("read", &dir))? {
                let file = file.map_err(io_at("read", &dir))?;
                let name = file.file_name().to_string_lossy().into_owned();
                if name != "session" && !live.contains(&name) {
                    let path = file.path();
                    fs::remove_file(&path).map_err(io_at("delete", &path))?;
                }
            }
        }
        Ok(())
    }
}
