//! What a backend hands to the one executor: an argument vector and actions.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use spec::Vm;
use spec::vm::{Hypervisor, MacvtapMode, Volume};

use crate::features;
use crate::qemu;
use crate::refused::{Reason, Refused};

/// Files that a build made of a guest; absolute paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestFiles {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    /// `None` where the root comes from a share.
    pub store_disk: Option<PathBuf>,
    /// The tree that the implicit share `store` serves, where the root comes from a share.
    pub root_tree: Option<PathBuf>,
    /// What the guest needs on its kernel command line beside the definition's own.
    pub kernel_params: Vec<String>,
}

/// How the processor of the guest is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    Kvm,
    /// Software emulation. `tsc_khz` is the frequency of the host's TSC, which QEMU's TCG hands
    /// to an x86 guest unscaled.
    Tcg {
        tsc_khz: Option<u32>,
    },
}

/// `major.minor.micro` of a hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What a backend must know of the host and of the program that it will run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    pub program: PathBuf,
    pub version: Version,
    pub accel: Accel,
    /// Whether the program was built with what `-sandbox on` needs.
    pub sandbox: bool,
    /// Whether io_uring works for this user on this kernel and the program was built with it.
    pub io_uring: bool,
    /// Path of `qemu-bridge-helper`, where there is one.
    pub bridge_helper: Option<PathBuf>,
    /// The `microvm` binary, which QEMU runs as `microvm relay ADDRESS PORT` for each connection
    /// of the guest to a port forwarded from it; joins its standard input and output to TCP.
    pub relay: Option<PathBuf>,
    /// Whether the hypervisor is started by root, who alone can switch to another user.
    pub root: bool,
}

/// Program and arguments; the executor adds nothing and quotes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argv {
    pub program: PathBuf,
    /// Shown by ps(1) in place of the program.
    pub process_name: Option<String>,
    pub args: Vec<String>,
}

/// What the executor does, in order, before it becomes the hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The user's own shell commands, handed to `/bin/sh -e -c` whole.
    PreStart(String),
    /// Creates, formats, grows or checks a volume.
    PrepareVolume(Volume),
    /// Removes a control socket that nobody listens on any more.
    RemoveStaleSocket(PathBuf),
    /// Opens `/dev/tapN` of a macvtap interface `queues` times, as descriptors from `first_fd`.
    OpenMacvtap {
        id: String,
        mode: MacvtapMode,
        queues: u32,
        first_fd: i32,
    },
    /// Runs a program and appends the words it prints to the arguments.
    ExtraArgs(PathBuf),
}

/// A VM that one backend accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub before: Vec<Action>,
    pub argv: Argv,
    pub control: Control,
}

impl Plan {
    /// Makes the plan of a VM on a host, or says everything that stands against it at once.
    pub fn new(vm: &Vm, guest: &GuestFiles, facts: &HostFacts) -> Result<Self, Refused> {
        let mut reasons: Vec<Reason> = features::refusals(vm)
            .into_iter()
            .map(Reason::Definition)
            .collect();
        match vm.hypervisor {
            Hypervisor::Qemu => reasons.extend(qemu::host_reasons(vm, guest, facts)),
            other => reasons.push(Reason::NoBackend { hypervisor: other }),
        }
        if reasons.is_empty() {
            Ok(qemu::plan(vm, guest, facts))
        } else {
            Err(Refused {
                vm: vm.name.clone(),
                reasons,
            })
        }
    }
}

/// How a running VM is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    None,
    Qmp { socket: PathBuf },
}
