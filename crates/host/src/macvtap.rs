//! The character devices of macvtap interfaces, as descriptors that a hypervisor inherits.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "The macvtap interface `{id}` is not there; `macvtap-up` of the runner package creates it"
    )]
    Absent { id: String },
    #[error("`{}` of the macvtap interface `{id}` cannot be opened", .device.display())]
    Open {
        id: String,
        device: PathBuf,
        source: std::io::Error,
    },
    #[error("Descriptor {wanted} for the macvtap interface `{id}` is taken")]
    Taken { id: String, wanted: i32 },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent { .. } => Kind::NotFound,
            Self::Open { source, .. } => match Kind::of_io(source) {
                Kind::Busy => Kind::Busy,
                _ => Kind::Missing,
            },
            Self::Taken { .. } => Kind::Other,
        }
    }
}

/// Opens an interface `queues` times, as descriptors `first_fd`, `first_fd + 1`…, closed on exec.
pub fn open(id: &str, queues: u32, first_fd: i32) -> Result<Vec<OwnedFd>, Error> {
    let device = device_of(id, Path::new("/sys"), Path::new("/dev"))?;
    (first_fd..)
        .zip(0..queues)
        .map(|(wanted, _)| place(&open_queue(id, &device)?, wanted, id, &device))
        .collect()
}

/// The device node carries the interface's index, not its name.
pub(crate) fn device_of(id: &str, sys: &Path, dev: &Path) -> Result<PathBuf, Error> {
    let file = sys.join("class/net").join(id).join("ifindex");
    let index = std::fs::read_to_string(file).map_err(|_| Error::Absent { id: id.to_owned() })?;
    Ok(dev.join(format!("tap{}", index.trim())))
}

fn open_queue(id: &str, device: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
        .map_err(|source| Error::Open {
            id: id.to_owned(),
            device: device.to_owned(),
            source,
        })
}

fn place(file: &File, wanted: i32, id: &str, device: &Path) -> Result<OwnedFd, Error> {
    let placed = rustix::io::fcntl_dupfd_cloexec(file, wanted).map_err(|error| Error::Open {
        id: id.to_owned(),
        device: device.to_owned(),
        source: error.into(),
    })?;
    if placed.as_raw_fd() == wanted {
        Ok(placed)
    } else {
        Err(Error::Taken {
            id: id.to_owned(),
            wanted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_follows_the_index() {
        let root = tempfile::tempdir().unwrap();
        let net = root.path().join("class/net/vm-web");
        std::fs::create_dir_all(&net).unwrap();
        std::fs::write(net.join("ifindex"), "17\n").unwrap();
        let device = device_of("vm-web", root.path(), Path::new("/dev")).unwrap();
        assert_eq!(device, Path::new("/dev/tap17"));
        let error = device_of("other", root.path(), Path::new("/dev")).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }

    #[test]
    fn a_taken_number_is_refused() {
        let file = File::open("/dev/null").unwrap();
        let first = place(&file, 400, "x", Path::new("/dev/null")).unwrap();
        assert_eq!(first.as_raw_fd(), 400);
        assert!(matches!(
            place(&file, 400, "x", Path::new("/dev/null")),
            Err(Error::Taken { .. })
        ));
    }
}
