//! QEMU's own lock of an image, honoured and taken while an image is changed.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::Error;

/// Held on the open file that it was taken on, until that is closed.
pub struct ImageLock;

/// QEMU locks one byte per permission: from 100 those it uses, from 200 those it denies others
/// (`RAW_LOCK_PERM_BASE`, `RAW_LOCK_SHARED_BASE`; unchanged from 2.10 to 10).
const FIRST: i64 = 100;
const COUNT: i64 = 200;

impl ImageLock {
    /// Locks against every use by QEMU; a file system without locks gives none.
    pub fn take(file: &File, image: &Path) -> Result<Self, Error> {
        let wanted = libc::flock {
            l_type: i16::try_from(libc::F_WRLCK).expect("lock types are small"),
            l_whence: i16::try_from(libc::SEEK_SET).expect("whences are small"),
            l_start: FIRST,
            l_len: COUNT,
            l_pid: 0,
        };
        match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&wanted)) {
            Err(Errno::EAGAIN | Errno::EACCES) => Err(Error::InUse {
                image: image.to_owned(),
            }),
            _ => Ok(Self),
        }
    }
}
