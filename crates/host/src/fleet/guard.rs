//! One change of a VM at a time.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use spec::names::VmName;

use super::{Error, Fleet};
use crate::lock::try_exclusive;

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
        let file = try_exclusive(&path).map_err(|source| Error::io("lock", &path, source))?;
        Ok(file.map(|file| Self { path, _file: file }))
    }

    /// Of a VM that is no more.
    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
