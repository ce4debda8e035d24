//! How a guest is asked to stop where its hypervisor has no way to ask: a small process of the
//! guest listens on one channel.
//!
//! It speaks lines: `ping` is answered with `pong`, `poweroff` with `ok`, and the guest powers
//! off; all else with `error: …`.

use crate::vm::{Arch, Hypervisor};

/// Port of AF_VSOCK on which the agent listens, for the host alone.
pub const VSOCK_PORT: u32 = 1024;
/// The guest's serial port that is not its console.
pub const SERIAL: &str = "ttyS1";
/// Name of the virtio-serial port.
pub const PORT_NAME: &str = "org.microvm.agent";

/// What the agent listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// [`SERIAL`]
    Serial,
    /// The virtio-serial port [`PORT_NAME`]
    Port,
    /// [`VSOCK_PORT`]
    Vsock,
}

impl Channel {
    /// The channel of a VM; `None` where the hypervisor can ask by itself.
    pub const fn of(hypervisor: Hypervisor, arch: Arch) -> Option<Self> {
        match (hypervisor, arch) {
            (Hypervisor::Kvmtool, _) => Some(Self::Serial),
            (Hypervisor::Stratovirt, _) => Some(Self::Port),
            (Hypervisor::Alioth, _) => Some(Self::Vsock),
            // Its Ctrl-Alt-Del is x86's.
            (Hypervisor::Firecracker, Arch::Aarch64) => Some(Self::Vsock),
            _ => None,
        }
    }
}
