//! The hypervisor that is built in: alioth, from its crate, in the process that was to become a
//! hypervisor. Reads the arguments of the program of that name, those that a plan has.
//!
//! It confines itself in no way: alioth has no seccomp filter (0.12).

mod console;
mod log_lines;
mod machine;
mod options;

use std::error::Error as StdError;

use alioth::loader::{Executable, Payload};
use backend::plan::Version;

use crate::kind::Kind;
use machine::Machine;
use options::{Config, Disk, Net, Share, Vsock};

pub use options::Invalid;

/// First argument of our own program when it is started as alioth.
pub const COMMAND: &str = "alioth";

/// Of the crate.
pub const VERSION: Version = Version(0, 12, 0);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Options(#[from] Invalid),
    #[error("KVM cannot be used")]
    Kvm(#[source] Cause),
    #[error("The machine cannot be made")]
    Machine(#[source] Cause),
    #[error("The device `{name}` cannot be made")]
    Device { name: String, source: Cause },
    #[error("The guest cannot be started")]
    Start(#[source] Cause),
    #[error("A processor of the guest failed")]
    Processor(#[source] Cause),
}

/// An error of the crate's, which has one type for each of its modules.
pub type Cause = Box<dyn StdError + Send + Sync>;

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Options(_) => Kind::Other,
            Self::Kvm(_) | Self::Device { .. } => Kind::Missing,
            Self::Machine(_) | Self::Start(_) | Self::Processor(_) => Kind::Hypervisor,
        }
    }
}

/// Runs a guest to its end: `arguments` are those after [`COMMAND`].
pub fn run(arguments: &[String]) -> Result<(), Error> {
    log_lines::install();
    let config = Config::parse(arguments)?;
    let _raw = console::Raw::set();
    let machine = Machine::new(config.board)?;
    machine.add_console()?;
    if config.entropy {
        let entropy = alioth::virtio::dev::entropy::EntropyParam::default();
        machine.add_virtio("entropy", entropy)?;
    }
    for (index, Net::Tap(net)) in config.nets.into_iter().enumerate() {
        machine.add_virtio(&format!("net{index}"), net)?;
    }
    for (index, Disk::File(disk)) in config.disks.into_iter().enumerate() {
        machine.add_virtio(&format!("disk{index}"), disk)?;
    }
    for (index, Share::Vu(share)) in config.shares.into_iter().enumerate() {
        machine.add_virtio(&format!("fs{index}"), share)?;
    }
    if let Some(Vsock::Uds(vsock)) = config.vsock {
        machine.add_virtio("vsock", vsock)?;
    }
    for group in config.vfio_groups {
        machine.add_vfio_group(group)?;
    }
    machine.run(Payload {
        executable: Some(Executable::Linux(config.kernel)),
        initramfs: Some(config.initramfs),
        cmdline: Some(config.cmdline),
        firmware: None,
    })
}
