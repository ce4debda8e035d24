//! What a hypervisor can be asked, whichever it is.

use backend::control::{Api, Control};

use super::{Error, cloud_hypervisor, crosvm, firecracker, kvmtool, qemu};
use crate::process::Process;

/// What a VM is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Running,
    Paused,
    /// It was started and does not run yet, or is about to end.
    Between,
    Stopped,
    /// It runs, and does not say more.
    Unknown,
}

impl RunState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Between => "starting or stopping",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

/// A connection to a running hypervisor, or what stands for one.
pub trait Client {
    /// The process behind it, where the connection tells.
    fn process(&self) -> Option<Process>;

    fn state(&mut self) -> Result<RunState, Error>;

    /// Asks the guest to power off.
    fn power_down(&mut self) -> Result<(), Error>;

    /// Has the hypervisor end at once, its disks flushed.
    fn quit(&mut self) -> Result<(), Error>;

    fn pause(&mut self) -> Result<(), Error>;

    fn resume(&mut self) -> Result<(), Error>;

    /// Sets the memory that the guest is left with, in MiB.
    fn set_balloon(&mut self, mib: u64) -> Result<(), Error>;

    /// The memory that the guest is left with, in MiB.
    fn balloon(&mut self) -> Result<u64, Error>;
}

/// Speaks to the hypervisor of a VM.
pub fn connect(control: &Control) -> Result<Box<dyn Client>, Error> {
    match &control.api {
        Api::None => Err(Error::NoSocket),
        Api::Qmp { socket } => Ok(Box::new(qemu::connect(socket)?)),
        Api::CloudHypervisor { socket } => Ok(Box::new(cloud_hypervisor::connect(socket)?)),
        Api::Firecracker { socket } => Ok(Box::new(firecracker::connect(socket)?)),
        Api::Kvmtool {
            socket,
            has_balloon,
        } => {
            let balloon = has_balloon.then_some(control.mem_mib);
            Ok(Box::new(kvmtool::connect(socket, balloon)?))
        }
        Api::Crosvm {
            program,
            socket,
            has_balloon,
        } => {
            let balloon = has_balloon.then_some(control.mem_mib);
            let crosvm = crosvm::connect(program, socket, &control.vm, balloon)?;
            Ok(Box::new(crosvm))
        }
    }
}
