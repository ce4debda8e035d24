//! QEMU's own lock of an image, honoured and taken while an image is changed.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::Error;

/// Held until dropped, also while a process that is just being started shares the open file.
pub struct ImageLock<'a> {
    file: &'a File,
}

/// QEMU locks one byte per permission: from 100 those it uses, from 200 those it denies others
/// (`RAW_LOCK_PERM_BASE`, `RAW_LOCK_SHARED_BASE`; unchanged from 2.10 to 10).
const FIRST: i64 = 100;
const COUNT: i64 = 200;

impl<'a> ImageLock<'a> {
    /// Locks against every use by QEMU; a file system without locks gives none.
    pub fn take(file: &'a File, image: &Path) -> Result<Self, Error> {
        match set(file, libc::F_WRLCK) {
            Err(Errno::EAGAIN | Errno::EACCES) => Err(Error::InUse {
                image: image.to_owned(),
            }),
            _ => Ok(Self { file }),
        }
    }
}

impl Drop for ImageLock<'_> {
    fn drop(&mut self) {
        // Fails where taking it did: on a file system without locks.
        let _ = set(self.file, libc::F_UNLCK);
    }
}

fn set(file: &File, kind: libc::c_int) -> nix::Result<libc::c_int> {
    let wanted = libc::flock {
        l_type: i16::try_from(kind).expect("lock types are small"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("whences are small"),
        l_start: FIRST,
        l_len: COUNT,
        l_pid: 0,
    };
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&wanted))
}
