//! One run of a VM at a time: a lock in its state directory that the hypervisor inherits.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use backend::control::Control;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags};

use crate::kind::Kind;

/// Held until it is dropped, or until the hypervisor that it was left to ends.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{vm}` is already running in `{}`{}", .state.display(), pid_clause(*.pid))]
    Held {
        vm: String,
        state: PathBuf,
        pid: Option<u32>,
    },
    #[error("The lock `{}` cannot be taken", .path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Held { .. } => Kind::Busy,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

fn pid_clause(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(", as process {pid}"))
}

/// Out of the way of descriptors that a hypervisor is given at fixed numbers.
pub(crate) const FIRST_FD: i32 = 200;

/// Longer than any description of a VM.
const LONGEST: u64 = 64 * 1024;

const TRIES: u32 = 5;
const STEP: std::time::Duration = std::time::Duration::from_millis(10);

fn path_of(state: &Path, vm: &str) -> PathBuf {
    state.join(format!("{vm}.lock"))
}

impl RunLock {
    /// Takes the lock of a VM without waiting and writes this process into it.
    pub fn take(state: &Path, vm: &str) -> Result<Self, Error> {
        let path = path_of(state, vm);
        let io = |source| Error::Io {
            path: path.clone(),
            source,
        };
        let mut tries = 0;
        loop {
            let mut file = open(&path).map_err(io)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                // Perhaps only somebody who looks, which is over at once.
                Err(Errno::WOULDBLOCK) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(STEP);
                    continue;
                }
                Err(Errno::WOULDBLOCK) => return Err(held(&mut file, state, vm)),
                Err(error) => return Err(io(error.into())),
            }
            // Its holder may have removed the file between our opening and our locking it.
            if is_at(&file, &path) {
                write_pid(&mut file).map_err(io)?;
                return Ok(Self { file });
            }
        }
    }

    /// Writes how the VM is spoken to and which package it is of, for those who know no more of it
    /// than its lock.
    pub fn describe(&mut self, control: &Control, package: &Path) -> Result<(), Error> {
        let io = |source: std::io::Error| Error::Io {
            path: path_of(Path::new("."), &control.vm),
            source,
        };
        let control = serde_json::to_string(control).map_err(|error| io(error.into()))?;
        let package = serde_json::to_string(package).map_err(|error| io(error.into()))?;
        writeln!(self.file, "{control}\n{package}").map_err(io)
    }

    /// How the VM is spoken to that runs in a state directory; `None` where none runs.
    pub fn described(state: &Path, vm: &str) -> Option<Control> {
        serde_json::from_str(Self::text(state, vm)?.lines().nth(1)?).ok()
    }

    /// The package of the VM that runs in a state directory, where its lock says.
    pub fn package(state: &Path, vm: &str) -> Option<PathBuf> {
        serde_json::from_str(Self::text(state, vm)?.lines().nth(2)?).ok()
    }

    fn text(state: &Path, vm: &str) -> Option<String> {
        Self::holder(state, vm)?;
        let file = open_to_look(&path_of(state, vm)).ok()?;
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Names of the VMs that run in a state directory, in order.
    pub fn running(state: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(state).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(".lock")?.to_owned())
        });
        let mut names: Vec<String> = names
            .filter(|name| Self::holder(state, name).is_some())
            .collect();
        names.sort();
        names
    }

    /// Says whether the VM runs, and takes nothing.
    pub fn check(state: &Path, vm: &str) -> Result<(), Error> {
        let Ok(mut file) = open_to_look(&path_of(state, vm)) else {
            return Ok(());
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Err(held(&mut file, state, vm)),
            _ => Ok(()),
        }
    }

    /// Number of the process that holds the lock; `None` where nobody does.
    pub fn holder(state: &Path, vm: &str) -> Option<u32> {
        match Self::check(state, vm) {
            Err(Error::Held { pid, .. }) => pid,
            _ => None,
        }
    }

    /// Removes the file of a run that has ended; of one that has not it removes nothing.
    pub fn remove_ended(state: &Path, vm: &str) {
        let path = path_of(state, vm);
        let Ok(file) = open_to_look(&path) else {
            return;
        };
        let ours = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if ours && is_at(&file, &path) {
            let _ = std::fs::remove_file(&path);
        }
    }

    /// Moves the descriptor out of the way of fixed ones and lets an exec keep it. The result
    /// must live until the exec.
    pub fn leave_to_exec(self) -> rustix::io::Result<OwnedFd> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.file, FIRST_FD)?;
        rustix::io::fcntl_setfd(&fd, FdFlags::empty())?;
        Ok(fd)
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Root looks into directories that a hypervisor may write to: no link is followed there, and
/// nothing waits for the other end of a pipe.
fn open_to_look(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

/// Locks a file that is made where it is absent; `None` where somebody else has it.
pub(crate) fn try_exclusive(path: &Path) -> std::io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            done => done?,
        }
        // Who had it may have removed the file between our opening and our locking it.
        if is_at(&file, path) {
            return Ok(Some(file));
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let key = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    match (file.metadata(), path.metadata()) {
        (Ok(ours), Ok(there)) => key(ours) == key(there),
        _ => false,
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn held(file: &mut File, state: &Path, vm: &str) -> Error {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    Error::Held {
        vm: vm.to_owned(),
        state: state.to_owned(),
        pid: text.lines().next().and_then(|line| line.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        RunLock::check(dir.path(), "web").unwrap();
        let lock = RunLock::take(dir.path(), "web").unwrap();
        let expected = format!(
            "`web` is already running in `{}`, as process {}",
            dir.path().display(),
            std::process::id()
        );
        for error in [
            RunLock::take(dir.path(), "web").unwrap_err(),
            RunLock::check(dir.path(), "web").unwrap_err(),
        ] {
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), Kind::Busy);
        }
        RunLock::take(dir.path(), "other").unwrap();
        RunLock::remove_ended(dir.path(), "web");
        assert!(dir.path().join("web.lock").exists());
        drop(lock);
        eventually_free(dir.path());
        RunLock::remove_ended(dir.path(), "web");
        assert!(!dir.path().join("web.lock").exists());
    }

    #[test]
    fn what_is_put_in_the_place_of_a_lock_is_neither_followed_nor_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lock = RunLock::take(dir.path(), "other").unwrap();
        std::os::unix::fs::symlink("other.lock", dir.path().join("link.lock")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe.lock"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(RunLock::running(dir.path()), ["other"]);
        assert!(RunLock::described(dir.path(), "link").is_none());
        drop(lock);
    }

    #[test]
    fn a_lock_left_to_exec_is_held_by_the_program() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let fd = RunLock::take(dir.path(), "web")
            .unwrap()
            .leave_to_exec()
            .unwrap();
        assert!(fd.as_raw_fd() >= 200);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        drop(fd);
        assert_eq!(
            RunLock::check(dir.path(), "web").unwrap_err().kind(),
            Kind::Busy
        );
        child.kill().unwrap();
        child.wait().unwrap();
        eventually_free(dir.path());
    }

    /// Between fork and exec, a child of another test holds what this one has just let go.
    fn eventually_free(state: &Path) {
        let free = || RunLock::check(state, "web").is_ok();
        assert!((0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            free()
        }));
    }
}
