//! Files and links that are replaced at one instant, and read only where they are trusted.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Error;

/// Longest text that is read: nothing of ours is longer.
const LONGEST: u64 = 64 * 1024;

/// Makes a link, or replaces the one that is there.
pub fn replace_link(link: &Path, target: &Path) -> Result<(), Error> {
    let beside = make_beside(link, |beside| symlink(target, beside))?;
    persist(&beside, link)
}

/// Writes a file, or replaces the one that is there.
pub fn replace_file(path: &Path, text: &str) -> Result<(), Error> {
    let beside = make_beside(path, |beside| {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(beside)?;
        // Whatever umask the caller has: who reads it may be another user.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })?;
    persist(&beside, path)
}

/// Deletes a file or a link; none is fine.
pub fn delete(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        done => done.map_err(|source| Error::io("delete", path, source))?,
    }
    sync_parent(path)
}

/// Where a link leads, in one step; `None` where there is none. One that somebody else made is
/// an error, for what it leads to is run.
pub fn read_link(link: &Path) -> Result<Option<PathBuf>, Error> {
    let meta = match fs::symlink_metadata(link) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(|source| Error::io("examine", link, source))?,
    };
    if !meta.is_symlink() {
        return Err(foreign(link, "a link"));
    }
    trusted(link, &meta)?;
    let target = fs::read_link(link).map_err(|source| Error::io("read", link, source))?;
    let parent = link.parent().unwrap_or(Path::new("/"));
    Ok(Some(parent.join(target)))
}

/// Reads a small file; `None` where there is none. A link is not followed.
pub fn read_file(path: &Path) -> Result<Option<String>, Error> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(foreign(path, "a file"));
        }
        file => file.map_err(|source| Error::io("read", path, source))?,
    };
    let io = |source| Error::io("read", path, source);
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() || meta.len() > LONGEST {
        return Err(foreign(path, "a small file"));
    }
    trusted(path, &meta)?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(io)?;
    Ok(Some(text))
}

pub fn foreign(path: &Path, wanted: &'static str) -> Error {
    Error::Foreign {
        path: path.to_owned(),
        wanted,
    }
}

/// Whether a file or link is there that somebody made whom root does not follow.
pub fn is_untrusted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| trusted(path, &meta).is_err())
}

/// A hypervisor may write in its VM's directory; what it makes there is not for root to follow.
fn trusted(path: &Path, meta: &fs::Metadata) -> Result<(), Error> {
    let uid = meta.uid();
    if uid == 0 || uid == nix::unistd::geteuid().as_raw() || !crate::user::is_root() {
        return Ok(());
    }
    Err(Error::Untrusted {
        path: path.to_owned(),
        uid,
    })
}

/// Makes directories, and has those that were made last.
pub fn make_directories(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|source| Error::io("make", dir, source))?;
    sync_parent(dir)
}

/// Calls `make` with a name beside `path` that nothing has.
fn make_beside(path: &Path, make: impl Fn(&Path) -> std::io::Result<()>) -> Result<PathBuf, Error> {
    const TRIES: u32 = 1000;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let process = std::process::id();
    for number in 0..TRIES {
        let beside = path.with_file_name(format!("{}{name}.{process}.{number}", BESIDE));
        match make(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => {
                let _ = fs::remove_file(&beside);
                return Err(Error::io("write", path, source));
            }
            Ok(()) => return Ok(beside),
        }
    }
    Err(Error::io("write", path, ErrorKind::AlreadyExists.into()))
}

/// What the names begin with that a change leaves where it is cut off.
pub const BESIDE: &str = ".new-";

/// Deletes what processes left that are no more: names of ours, files and links alone.
pub fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if is_left(&entry.file_name()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_left(name: &OsStr) -> bool {
    let process = || {
        let text = name.to_str()?.strip_prefix(BESIDE)?;
        let (rest, _number) = text.rsplit_once('.')?;
        rest.rsplit_once('.')?.1.parse::<u32>().ok()
    };
    process().is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

fn persist(beside: &Path, path: &Path) -> Result<(), Error> {
    super::fault::point();
    // A directory in the way must stay: rename fails then, and so do we.
    fs::rename(beside, path).map_err(|source| {
        let _ = fs::remove_file(beside);
        Error::io("replace", path, source)
    })?;
    sync_parent(path)
}

pub fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|source| Error::io("sync", parent, source))
}
