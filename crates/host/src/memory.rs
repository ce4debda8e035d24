//! Files that are in memory alone, which a hypervisor inherits as descriptors.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create};

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No memory for the file `{name}` that the hypervisor reads")]
    Write {
        name: String,
        source: std::io::Error,
    },
    #[error("Descriptor {wanted} for the file `{name}` is taken")]
    Taken { name: String, wanted: i32 },
}

impl Error {
    pub fn kind(&self) -> Kind {
        Kind::Other
    }
}

/// A file with this content, as descriptor `wanted`, closed on exec.
pub fn file(name: &str, content: &[u8], wanted: i32) -> Result<OwnedFd, Error> {
    let write = |source: std::io::Error| Error::Write {
        name: name.to_owned(),
        source,
    };
    let fd = memfd_create(name, MemfdFlags::CLOEXEC).map_err(|error| write(error.into()))?;
    filled(File::from(fd), name, content, wanted)
}

/// The same for what a hypervisor opens as a disk. It has no name either, but is on a file system
/// that was mounted: no rule of Landlock can allow a memfd.
pub fn disk(name: &str, content: &[u8], wanted: i32) -> Result<OwnedFd, Error> {
    const SHARED_MEMORY: &str = "/dev/shm";
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match rustix::fs::open(SHARED_MEMORY, flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => filled(File::from(fd), name, content, wanted),
        // A container may have none.
        Err(_) => file(name, content, wanted),
    }
}

fn filled(mut file: File, name: &str, content: &[u8], wanted: i32) -> Result<OwnedFd, Error> {
    let write = |source: std::io::Error| Error::Write {
        name: name.to_owned(),
        source,
    };
    file.write_all(content).map_err(write)?;
    let placed = rustix::io::fcntl_dupfd_cloexec(&file, wanted);
    let placed = placed.map_err(|error| write(error.into()))?;
    if placed.as_raw_fd() == wanted {
        Ok(placed)
    } else {
        Err(Error::Taken {
            name: name.to_owned(),
            wanted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_can_be_opened_by_its_number() {
        let fd = file("config", b"{}", 340).unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        assert_eq!(std::fs::read(path).unwrap(), b"{}");
        assert!(matches!(file("x", b"", 340), Err(Error::Taken { .. })));
    }

    #[test]
    fn a_disk_has_no_name_and_can_be_opened() {
        let fd = disk("credentials", b"secret", 341).unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        assert_eq!(std::fs::read(path).unwrap(), b"secret");
        let status = rustix::fs::fstat(&fd).unwrap();
        assert_eq!((status.st_nlink, status.st_mode & 0o077), (0, 0));
    }
}
