//! Gives PCI devices of the host to vfio-pci, so that a hypervisor can pass them to a guest.
//!
//! Everything is looked at before anything is changed: a device comes with its whole IOMMU group,
//! and a group of which the host still uses a part is refused.

mod group;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::kind::Kind;

pub use group::Neighbour;

/// The driver that hypervisors reach devices through.
const DRIVER: &str = "vfio-pci";

/// Where to look and write; a test gives a tree of its own.
#[derive(Clone, Debug)]
pub struct Pci {
    /// `/sys`
    pub sys: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no PCI device `{address}` on this host; `lspci -D` lists those that are")]
    Absent { address: String },
    #[error(
        "The PCI device `{address}` is in no IOMMU group; enable the IOMMU in the firmware and \
         with the kernel parameter `intel_iommu=on`, where the processor is Intel's"
    )]
    NoIommu { address: String },
    #[error(
        "The PCI device `{address}` shares IOMMU group {group} with devices that the host uses: \
         {}; add them to `devices`, or take their drivers away",
        group::list(.neighbours)
    )]
    Shared {
        address: String,
        group: String,
        neighbours: Vec<Neighbour>,
    },
    #[error("The driver `{DRIVER}` is not there; load it with `modprobe {DRIVER}`")]
    NoDriver,
    #[error("`{}` cannot be written; it takes root", .file.display())]
    Denied { file: PathBuf },
    #[error("The PCI device `{address}` did not go from {} to `{DRIVER}`", .from.as_ref().map_or("no driver".to_owned(), |from| format!("`{from}`")))]
    NotBound {
        address: String,
        from: Option<String>,
    },
    #[error("`{}` cannot be used", .file.display())]
    Io {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{}", all(.0))]
    Several(Vec<Self>),
}

fn all(errors: &[Error]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n  ")
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent { .. } => Kind::NotFound,
            Self::Shared { .. } => Kind::Busy,
            Self::NoIommu { .. } | Self::NoDriver | Self::Denied { .. } => Kind::Missing,
            Self::NotBound { .. } | Self::Io { .. } => Kind::Other,
            Self::Several(errors) => errors.first().map_or(Kind::Other, Self::kind),
        }
    }

    fn of_io(file: &Path, source: std::io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Denied { file },
            _ => Self::Io { file, source },
        }
    }
}

/// Longest that the kernel may take to bind a driver.
const BINDING: Duration = Duration::from_secs(5);

impl Pci {
    /// This machine.
    pub fn here() -> Self {
        Self {
            sys: "/sys".into(),
            dev: "/dev".into(),
        }
    }

    /// Binds devices of one VM to vfio-pci and gives their groups to `owner`. What is bound
    /// already stays; where anything stands against it, nothing is changed.
    pub fn set_up(&self, addresses: &[String], owner: Option<u32>) -> Result<(), Error> {
        let found: Vec<Result<String, Error>> = addresses
            .iter()
            .map(|address| self.group_of(address, addresses))
            .collect();
        let (groups, mut errors) = parted(found);
        let unbound: Vec<&String> = addresses
            .iter()
            .filter(|address| self.driver_of(address).as_deref() != Some(DRIVER))
            .collect();
        if !unbound.is_empty() && !self.sys.join("bus/pci/drivers").join(DRIVER).exists() {
            errors.push(Error::NoDriver);
        }
        match errors.len() {
            0 => {}
            1 => return Err(errors.remove(0)),
            _ => return Err(Error::Several(errors)),
        }
        for address in unbound {
            self.bind(address)?;
        }
        match owner {
            Some(owner) => groups.iter().try_for_each(|group| self.give(group, owner)),
            None => Ok(()),
        }
    }

    fn device(&self, address: &str) -> PathBuf {
        self.sys.join("bus/pci/devices").join(address)
    }

    /// Name of the driver that a device has now.
    fn driver_of(&self, address: &str) -> Option<String> {
        let driver = fs::read_link(self.device(address).join("driver")).ok()?;
        Some(driver.file_name()?.to_string_lossy().into_owned())
    }

    fn bind(&self, address: &str) -> Result<(), Error> {
        let device = self.device(address);
        let from = self.driver_of(address);
        write(&device.join("driver_override"), DRIVER)?;
        if from.is_some() {
            write(&device.join("driver/unbind"), address)?;
        }
        write(&self.sys.join("bus/pci/drivers_probe"), address)?;
        let deadline = Instant::now() + BINDING;
        while self.driver_of(address).as_deref() != Some(DRIVER) {
            if Instant::now() >= deadline {
                let address = address.to_owned();
                return Err(Error::NotBound { address, from });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn give(&self, group: &str, owner: u32) -> Result<(), Error> {
        let node = self.dev.join("vfio").join(group);
        std::os::unix::fs::chown(&node, Some(owner), None)
            .map_err(|source| Error::of_io(&node, source))
    }
}

fn parted(found: Vec<Result<String, Error>>) -> (Vec<String>, Vec<Error>) {
    let (mut groups, mut errors) = (Vec::new(), Vec::new());
    for result in found {
        match result {
            Ok(group) => groups.push(group),
            Err(error) => errors.push(error),
        }
    }
    groups.dedup();
    (groups, errors)
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    fs::write(file, text).map_err(|source| Error::of_io(file, source))
}

#[cfg(test)]
mod tests;
