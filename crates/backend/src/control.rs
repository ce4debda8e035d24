//! How a running VM is spoken to: which socket, which protocol. Opens none of them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::Vm;

use crate::backends;
use crate::plan::Console;

/// The ways to a VM that runs. Paths are relative to the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Name of the VM, by which its lock is found.
    pub vm: String,
    /// Memory that the guest was started with, from which balloons are counted.
    pub mem_mib: u64,
    pub api: Api,
    /// Where a guest is asked to power off that its hypervisor cannot ask.
    pub agent: Option<Agent>,
    /// Where the hypervisor itself speaks vsock for the guest.
    #[serde(default)]
    pub vsock: Option<PathBuf>,
}

/// What the hypervisor itself listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    None,
    /// QEMU's protocol, of which StratoVirt speaks a part.
    Qmp {
        socket: PathBuf,
    },
    /// Cloud Hypervisor's REST.
    CloudHypervisor {
        socket: PathBuf,
    },
    /// Firecracker's REST.
    Firecracker {
        socket: PathBuf,
    },
    /// Spoken by the program itself, for the protocol is that of its version alone.
    Crosvm {
        program: PathBuf,
        socket: PathBuf,
        has_balloon: bool,
    },
    /// Its own, in binary, of which a request for a balloon that is not there has no answer.
    Kvmtool {
        socket: PathBuf,
        has_balloon: bool,
    },
}

/// Where the agent in the guest is reached; see [`spec::agent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// A Unix socket that leads to a serial port of the guest.
    Socket(PathBuf),
    /// A hypervisor's own vsock, behind a Unix socket that is told `CONNECT PORT` first.
    Vsock { socket: PathBuf, port: u32 },
}

/// Whether the hypervisor gives a VM's console on its standard input and output.
pub fn has_console(vm: &Vm) -> bool {
    backends::of(vm.hypervisor).is_some_and(|backend| backend.console(vm) != Console::None)
}

impl Control {
    /// The ways to a VM that `program` runs, or would.
    pub fn of(vm: &Vm, program: &Path) -> Self {
        match backends::of(vm.hypervisor) {
            Some(backend) => backend.control(vm, program),
            None => Self::signals_alone(vm),
        }
    }

    /// Only signals reach such a hypervisor.
    pub fn signals_alone(vm: &Vm) -> Self {
        Self {
            vm: vm.name.to_string(),
            mem_mib: vm.memory.mem_mib,
            api: Api::None,
            agent: None,
            vsock: None,
        }
    }

    /// Sockets that a crash leaves behind.
    pub fn sockets(&self) -> Vec<&Path> {
        let api = match &self.api {
            Api::None => None,
            Api::Qmp { socket }
            | Api::CloudHypervisor { socket }
            | Api::Firecracker { socket }
            | Api::Crosvm { socket, .. }
            | Api::Kvmtool { socket, .. } => Some(socket.as_path()),
        };
        let agent = match &self.agent {
            None => None,
            Some(Agent::Socket(socket) | Agent::Vsock { socket, .. }) => Some(socket.as_path()),
        };
        let vsock = self.vsock.as_deref().filter(|vsock| agent != Some(vsock));
        api.into_iter().chain(agent).chain(vsock).collect()
    }
}
