//! One change of a VM at a time.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use spec::names::VmName;

use super::{Error, Fleet};
use crate::lock::is_at;

/// Held while a VM's directory is changed.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    _file: File,
}

/// Changes take milliseconds: a holder that takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(10);

impl Guard {
    /// Waits for others, within a bound.
    pub(super) fn take(fleet: &Fleet, name: &VmName) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(guard) = Self::try_take(fleet, name)? {
                return Ok(guard);
            }
            if Instant::now() > deadline {
                return Err(Error::Locked {
                    name: name.to_string(),
                    seconds: PATIENCE.as_secs(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `None` where somebody else has it.
    pub(super) fn try_take(fleet: &Fleet, name: &VmName) -> Result<Option<Self>, Error> {
        let path = fleet.own("locks")?.join(&**name);
        let io = |source| Error::io("lock", &path, source);
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
                .map_err(io)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                done => done.map_err(|error| io(error.into()))?,
            }
            // Who had it may have removed the file between our opening and our locking it.
            if is_at(&file, &path) {
                return Ok(Some(Self { path, _file: file }));
            }
        }
    }

    /// Of a VM that is no more.
    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
