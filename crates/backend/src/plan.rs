//! What a backend hands to the one executor: an argument vector and actions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use spec::Vm;
use spec::vm::{MacvtapMode, Volume};

use crate::control::Control;
use crate::refused::{Reason, Refused};
use crate::repeats::{self, Repeats};
use crate::{backends, features, host_reasons};

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
    /// The state directory, without symbolic links.
    pub state: PathBuf,
    pub version: Version,
    pub accel: Accel,
    /// Why KVM cannot be used here, in words; `None` where it can.
    pub no_kvm: Option<String>,
    /// Whether `program` is `microvm` itself, with the hypervisor built in.
    pub built_in: bool,
    /// Options that the program's own help names (`--landlock`): builds and versions differ.
    pub options: BTreeSet<String>,
    /// Whether the kernel has `/dev/vhost-net`, `/dev/vhost-vsock`.
    pub vhost_net: bool,
    pub vhost_vsock: bool,
    /// Version of Landlock that the kernel has, 0 where it has none.
    pub landlock_abi: u32,
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
    /// Whether the system is macOS.
    pub macos: bool,
    /// Where huge pages are mounted.
    pub hugetlbfs: Option<PathBuf>,
    /// IOMMU group of each device on the PCI bus that the VM is to get, where it has one.
    pub iommu_groups: BTreeMap<String, u32>,
}

/// Program and arguments; the executor adds nothing and quotes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argv {
    pub program: PathBuf,
    /// Shown by ps(1) in place of the program.
    pub process_name: Option<String>,
    pub args: Vec<String>,
    /// Variables of the environment that the hypervisor has beside those of the caller.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub repeats: Repeats,
}

impl Argv {
    /// The arguments with some that the user adds.
    pub fn with(&self, more: &[String]) -> Vec<String> {
        match self.repeats {
            Repeats::Kept => [self.args.as_slice(), more].concat(),
            Repeats::Merged => repeats::merged(&self.args, more),
        }
    }
}

/// What the executor does, in order, before it becomes the hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The user's own shell commands, handed to `/bin/sh -e -c` whole.
    PreStart(String),
    /// Creates, formats, grows or checks a volume.
    PrepareVolume(Volume),
    /// Refuses an image that a guest has written another format's head into, with which it could
    /// have the hypervisor open other files of the host.
    CheckRaw(PathBuf),
    /// Makes a directory where there is none, and refuses one that has something in it.
    EmptyDirectory(PathBuf),
    /// Removes a control socket that nobody listens on any more.
    RemoveStaleSocket(PathBuf),
    /// Opens `/dev/tapN` of a macvtap interface `queues` times, as descriptors from `first_fd`.
    OpenMacvtap {
        id: String,
        mode: MacvtapMode,
        queues: u32,
        first_fd: i32,
    },
    /// Hands a file's content to the hypervisor as descriptor `fd`, in memory alone.
    PassFile {
        name: String,
        content: String,
        fd: i32,
    },
    /// Refuses credentials that cannot be read; name to file on the host. The hypervisor reads them.
    CheckCredentials(BTreeMap<String, PathBuf>),
    /// Reads the credentials and hands them over as a disk image, as `PassFile` does.
    PassCredentials {
        /// Name to file on the host.
        files: BTreeMap<String, PathBuf>,
        fd: i32,
    },
    /// Tells people one line.
    Say(String),
    /// Runs a program and appends the words it prints to the arguments.
    ExtraArgs(PathBuf),
}

/// Where the guest's console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Console {
    /// Not at the hypervisor's standard input and output.
    None,
    /// There, and nothing else is.
    Plain,
    /// There, with QEMU's own escape, `Ctrl-a`.
    Mux,
    /// There; the hypervisor also says which pseudo-terminal leads to the guest's agent.
    WithAgent,
}

/// What a hypervisor does when its guest has powered off, halted or restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// It ends as well.
    #[default]
    WithGuest,
    /// It ends as well, once its child processes have; while there are any left it waits, and then
    /// kills its process group.
    AfterItsChildren,
    /// It runs on, with a guest that has halted.
    RunsOn,
    /// It restarts the guest in place, and says so on a descriptor, in JSON.
    Restarts { events_fd: i32 },
}

/// All that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub vm: &'a Vm,
    pub guest: &'a GuestFiles,
    pub facts: &'a HostFacts,
}

/// A VM that one backend accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub before: Vec<Action>,
    pub argv: Argv,
    pub control: Control,
    pub console: Console,
    pub leaving: Leaving,
}

impl Plan {
    /// Makes the plan of a VM on a host, or says everything that stands against it at once.
    pub fn new(vm: &Vm, guest: &GuestFiles, facts: &HostFacts) -> Result<Self, Refused> {
        let input = Input { vm, guest, facts };
        let mut reasons: Vec<Reason> = features::refusals(vm)
            .into_iter()
            .map(Reason::Definition)
            .collect();
        let Some(backend) = backends::of(vm.hypervisor) else {
            reasons.push(Reason::NoBackend {
                hypervisor: vm.hypervisor,
            });
            return Err(Refused::new(vm, reasons));
        };
        reasons.extend(host_reasons::host_reasons(backend, &input));
        if reasons.is_empty() {
            Ok(backend.plan(&input))
        } else {
            Err(Refused::new(vm, reasons))
        }
    }
}

/// The argument vector of a VM's hypervisor.
pub(crate) fn argv(input: &Input, args: Vec<String>) -> Argv {
    let vm = input.vm;
    Argv {
        program: input.facts.program.clone(),
        process_name: vm.pretty_procnames.then(|| format!("microvm@{}", vm.name)),
        args,
        repeats: Repeats::Kept,
        env: BTreeMap::new(),
    }
}
