//! Content-addressed store: entries named by the hash of what they were made from.
//!
//! An entry appears whole or not at all, is never changed afterwards, and records the entries
//! that it refers to. Beside the entries are `.locks`, `.refs` and `.tmp-*`; the roots of the
//! garbage collection are links in `roots` beside the store.
//!
//! A process that builds holds the store's session lock (shared) from its first look-up until it
//! drops its [`Store`]: what it found or made cannot be collected before it was rooted.

mod digest;
mod gc;
mod roots;
mod staging;
mod transfer;
mod tree;

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

pub use digest::{Digest, DigestBuilder};
pub use gc::Report;
pub use staging::{Seal, Staging};
pub use transfer::Carried;
pub(crate) use tree::{remove_tree, sync};

use crate::error::{Error, io_at};

const POLL: Duration = Duration::from_millis(50);

/// An open store.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    session: Mutex<Option<Flock<File>>>,
}

impl Store {
    /// Opens the store in `dir`, which is made where it is absent.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(io_at("find", dir))?;
        for sub in [".locks", ".refs"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).map_err(io_at("create", &sub))?;
        }
        Ok(Self {
            dir,
            session: Mutex::new(None),
        })
    }

    /// The directory of the entries.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the entry is, or would be.
    pub fn path_of(&self, name: &str, digest: &Digest) -> PathBuf {
        self.dir.join(entry_name(name, digest))
    }

    /// The entry, if it is there; from then on it is safe from collection until `self` is dropped.
    pub fn existing(&self, name: &str, digest: &Digest) -> Result<Option<PathBuf>, Error> {
        self.begin_session()?;
        let path = self.path_of(name, digest);
        Ok(path.symlink_metadata().is_ok().then_some(path))
    }

    /// The entry, made by `fill` where it is absent.
    ///
    /// `fill` makes a file or a directory at [`Staging::out`]. Of two processes that build the
    /// same entry the second waits and takes the first one's. `references` are the paths in this
    /// store that must live as long as the entry.
    pub fn add(
        &self,
        name: &str,
        digest: &Digest,
        references: &[PathBuf],
        interrupted: &AtomicBool,
        fill: impl FnOnce(&Staging) -> Result<Seal, Error>,
    ) -> Result<PathBuf, Error> {
        if let Some(path) = self.existing(name, digest)? {
            return Ok(path);
        }
        let entry = entry_name(name, digest);
        let _builder = self.lock_entry(&entry, interrupted)?;
        if let Some(path) = self.existing(name, digest)? {
            return Ok(path);
        }
        let staging = Staging::new(&self.dir, &entry)?;
        let seal = fill(&staging)?;
        self.record_references(&entry, references)?;
        staging.install(seal, &self.dir.join(&entry))
    }

    fn begin_session(&self) -> Result<(), Error> {
        let mut session = self.session.lock().expect("no holder of this lock panics");
        if session.is_none() {
            let (path, file) = self.session_file()?;
            // Blocks only while a collection deletes.
            let lock = Flock::lock(file, FlockArg::LockShared)
                .map_err(|(_, errno)| io_at("lock", &path)(errno.into()))?;
            *session = Some(lock);
        }
        Ok(())
    }

    fn session_file(&self) -> Result<(PathBuf, File), Error> {
        let path = self.dir.join(".locks/session");
        let file = open_lock(&path)?;
        Ok((path, file))
    }

    fn lock_entry(&self, entry: &str, interrupted: &AtomicBool) -> Result<Flock<File>, Error> {
        let path = self.dir.join(".locks").join(entry);
        lock_exclusively(&path, interrupted)
    }

    fn record_references(&self, entry: &str, references: &[PathBuf]) -> Result<(), Error> {
        let mut names: Vec<&str> = references
            .iter()
            .filter_map(|path| self.entry_of(path))
            .collect();
        names.sort_unstable();
        names.dedup();
        let path = self.dir.join(".refs").join(entry);
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        fs::write(&path, text).map_err(io_at("write", &path))?;
        sync(&path)
    }

    /// Name of the entry that `path` is or lies in.
    fn entry_of<'a>(&self, path: &'a Path) -> Option<&'a str> {
        let inner = path.strip_prefix(&self.dir).ok()?;
        let first = inner.components().next()?.as_os_str().to_str()?;
        (!first.starts_with('.')).then_some(first)
    }
}

/// Takes a lock file, looking every now and then whether the user gave up.
pub(crate) fn lock_exclusively(
    path: &Path,
    interrupted: &AtomicBool,
) -> Result<Flock<File>, Error> {
    let mut file = open_lock(path)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, _)) if interrupted.load(Ordering::Relaxed) => return Err(Error::Interrupted),
            Err((back, Errno::EWOULDBLOCK)) => file = back,
            Err((_, errno)) => return Err(io_at("lock", path)(errno.into())),
        }
        thread::sleep(POLL);
    }
}

fn open_lock(path: &Path) -> Result<File, Error> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(io_at("open", path))
}

fn entry_name(name: &str, digest: &Digest) -> String {
    format!("{}-{name}", digest.name())
}

#[cfg(test)]
mod tests;
