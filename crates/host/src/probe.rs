//! What a backend must know of this host, and of the current directory as a VM's state
//! directory: which program, which version, how the guest's processor is run.
//!
//! Fast enough to be asked at every start: what only a new program can change is cached.

mod cache;
mod cpu;
mod features;
mod iommu;
mod kvm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use backend::plan::{Accel, HostFacts};
use spec::vm::{Arch, Hypervisor, Vm};

use crate::kind::Kind;
use crate::program;

pub use features::Features;
pub use kvm::{Kvm, probe as kvm};

/// Where to look; a test gives directories of its own.
#[derive(Clone, Debug)]
pub struct Host {
    pub proc: PathBuf,
    pub dev: PathBuf,
    pub sys: PathBuf,
    /// Results of earlier probes; made where it is absent.
    pub cache: PathBuf,
    /// Directories with programs, in order.
    pub programs: Vec<PathBuf>,
    /// The `microvm` binary; `None` where it does not know its own path.
    pub own_program: Option<PathBuf>,
}

impl Host {
    /// This machine, with `MICROVM_HYPERVISORS` before PATH.
    pub fn here(cache: PathBuf) -> Self {
        let own = std::env::var_os("MICROVM_HYPERVISORS").filter(|dir| !dir.is_empty());
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            proc: "/proc".into(),
            dev: "/dev".into(),
            sys: "/sys".into(),
            cache,
            programs: search_order(own, path),
            own_program: std::env::current_exe().ok(),
        }
    }
}

fn search_order(own: Option<OsString>, path: OsString) -> Vec<PathBuf> {
    let own = own.map(PathBuf::from);
    let below = own.iter().flat_map(|dir| [dir.clone(), dir.join("bin")]);
    below.chain(program::directories(path)).collect()
}

/// Why a VM's hypervisor cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The hypervisor of `{vm}` is missing")]
    NotInstalled {
        vm: String,
        source: program::NotInstalled,
    },
    #[error("`{}` has no executable `{program}` in it or in its `bin`", .package.display())]
    EmptyPackage { package: PathBuf, program: String },
    #[error("`{}` cannot be run", .program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` did not say its version; it said `{said}`", .program.display())]
    NoVersion { program: PathBuf, said: String },
}

impl Error {
    pub fn kind(&self) -> Kind {
        Kind::Missing
    }
}

/// Facts for the backend, and why the acceleration is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub facts: HostFacts,
    pub acceleration: Acceleration,
}

/// How the guest's processor is run, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceleration {
    Kvm,
    /// The definition asks for emulation: by `cpu`, or by `accel` of `qemu.machineOpts`.
    Asked,
    /// The guest's processor is not the host's.
    Foreign(Arch),
    /// KVM does not work here.
    Unusable(Kvm),
}

impl Acceleration {
    /// One line for people; `None` where there is nothing to tell.
    pub fn line(&self) -> Option<String> {
        match self {
            Self::Kvm | Self::Asked => None,
            Self::Foreign(_) => Some(
                "The guest's processor is not the host's; using emulation (TCG), slower".into(),
            ),
            Self::Unusable(why) => Some(format!(
                "KVM is not usable: {why}; using emulation (TCG), slower"
            )),
        }
    }
}

/// Probes this host for a VM.
pub fn probe(vm: &Vm, host: &Host) -> Result<Found, Error> {
    let tsc = cpu::Tsc::watch();
    let program = find_hypervisor(vm, host)?;
    let built_in = is_built_in(vm);
    let features = if built_in {
        Features::built_in()
    } else {
        features_of(&program, vm.hypervisor, host)?
    };
    let acceleration = accelerate(vm, host);
    let no_kvm = match &acceleration {
        Acceleration::Kvm | Acceleration::Asked => None,
        Acceleration::Foreign(arch) => Some(format!("the guest's processor is {arch}")),
        Acceleration::Unusable(why) => Some(why.to_string()),
    };
    let mut facts = HostFacts {
        state: state_directory(),
        no_kvm,
        built_in,
        options: features.options,
        vhost_net: host.dev.join("vhost-net").exists(),
        vhost_vsock: host.dev.join("vhost-vsock").exists(),
        landlock_abi: landlock_abi(),
        bridge_helper: bridge_helper(&program),
        relay: host.own_program.clone(),
        root: crate::user::is_root(),
        version: features.version,
        accel: Accel::Kvm,
        sandbox: features.sandbox,
        io_uring: features.io_uring && kernel_has_io_uring(),
        macos: cfg!(target_os = "macos"),
        hugetlbfs: hugetlbfs(&host.proc),
        iommu_groups: iommu::groups(vm, &host.sys),
        program,
    };
    // Last, for the time that it takes to tell has mostly passed by now.
    facts.accel = match acceleration {
        Acceleration::Kvm => Accel::Kvm,
        Acceleration::Foreign(_) => Accel::Tcg { tsc_khz: None },
        Acceleration::Asked | Acceleration::Unusable(_) => Accel::Tcg {
            tsc_khz: (vm.arch == Arch::X86_64).then(|| tsc.khz()).flatten(),
        },
    };
    Ok(Found {
        facts,
        acceleration,
    })
}

/// Where the VM would run, and the paths of its definition begin.
fn state_directory() -> PathBuf {
    // As getcwd(2) gives it, and a hypervisor gets it: without symbolic links.
    std::env::current_dir().unwrap_or_default()
}

/// What a program can do, asked of it or remembered.
pub fn features_of(program: &Path, hypervisor: Hypervisor, host: &Host) -> Result<Features, Error> {
    features::of(program, hypervisor, &host.cache)
}

/// Whether a VM's hypervisor is the one that is built in.
fn is_built_in(vm: &Vm) -> bool {
    vm.hypervisor == Hypervisor::Alioth && package_of(vm).is_none()
}

/// The program of a VM's hypervisor: its package option, else our own with the one that is built
/// in, else the host's search order.
pub fn find_hypervisor(vm: &Vm, host: &Host) -> Result<PathBuf, Error> {
    let name = program_name(vm.hypervisor, vm.arch);
    let Some(package) = package_of(vm) else {
        let found = if is_built_in(vm) {
            host.own_program.clone()
        } else {
            program::find_in(name, &host.programs)
        };
        return found.ok_or_else(|| Error::NotInstalled {
            vm: vm.name.to_string(),
            source: program::NotInstalled {
                program: name.into(),
            },
        });
    };
    let inside = [package.join("bin").join(name), package.join(name)];
    std::iter::once(package.to_owned())
        .chain(inside)
        .find(|path| program::is_executable(path))
        .ok_or_else(|| Error::EmptyPackage {
            package: package.to_owned(),
            program: name.into(),
        })
}

/// Name of a hypervisor's program for guests of one architecture.
pub fn program_name(hypervisor: Hypervisor, arch: Arch) -> &'static str {
    match (hypervisor, arch) {
        (Hypervisor::Qemu, Arch::X86_64) => "qemu-system-x86_64",
        (Hypervisor::Qemu, Arch::Aarch64) => "qemu-system-aarch64",
        (Hypervisor::CloudHypervisor, _) => "cloud-hypervisor",
        (Hypervisor::Firecracker, _) => "firecracker",
        (Hypervisor::Crosvm, _) => "crosvm",
        (Hypervisor::Kvmtool, _) => "lkvm",
        (Hypervisor::Stratovirt, _) => "stratovirt",
        (Hypervisor::Alioth, _) => "alioth",
        (Hypervisor::Vfkit, _) => "vfkit",
    }
}

fn package_of(vm: &Vm) -> Option<&Path> {
    let options = &vm.options;
    match vm.hypervisor {
        Hypervisor::Qemu => &options.qemu.package,
        Hypervisor::CloudHypervisor => &options.cloud_hypervisor.package,
        Hypervisor::Firecracker => &options.firecracker.package,
        Hypervisor::Crosvm => &options.crosvm.package,
        Hypervisor::Kvmtool => &options.kvmtool.package,
        Hypervisor::Stratovirt => &options.stratovirt.package,
        Hypervisor::Alioth => &options.alioth.package,
        Hypervisor::Vfkit => &options.vfkit.package,
    }
    .as_deref()
}

fn accelerate(vm: &Vm, host: &Host) -> Acceleration {
    let options = vm.options.qemu.machine_opts.as_ref();
    let accel = options.and_then(|options| options.get("accel"));
    if vm.cpu.is_some() || accel.is_some_and(|accel| accel.starts_with("tcg")) {
        return Acceleration::Asked;
    }
    if !cpu::is_native(vm.arch) {
        return Acceleration::Foreign(vm.arch);
    }
    match kvm::probe(host) {
        Kvm::Works => Acceleration::Kvm,
        why => Acceleration::Unusable(why),
    }
}

/// Whether io_uring works for this user; kernels from 6.6 can forbid it (kernel.io_uring_disabled).
#[expect(
    unsafe_code,
    reason = "io_uring_setup has no safe wrapper; the ring is closed at once"
)]
fn kernel_has_io_uring() -> bool {
    let mut params = rustix::io_uring::io_uring_params::default();
    // SAFETY: the parameters outlive the call, and no memory of the ring is mapped.
    unsafe { rustix::io_uring::io_uring_setup(1, &mut params) }.is_ok()
}

/// Version of Landlock that this kernel has and was not told to leave out at boot, else 0.
#[expect(unsafe_code, reason = "landlock_create_ruleset has no safe wrapper")]
fn landlock_abi() -> u32 {
    const VERSION: libc::c_ulong = 1;
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: asked for its version, the call reads no memory and makes no descriptor.
    let abi =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

/// The first mount of huge pages, from `<proc>/mounts`.
fn hugetlbfs(proc: &Path) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string(proc.join("mounts")).ok()?;
    let mut mounts = mounts.lines().map(str::split_whitespace);
    mounts.find_map(|mut fields| {
        let (mount, fs_type) = (fields.nth(1)?, fields.next()?);
        (fs_type == "hugetlbfs").then(|| PathBuf::from(mount))
    })
}

/// QEMU's helper for bridges, beside the program or where distributions put it.
fn bridge_helper(program: &Path) -> Option<PathBuf> {
    const NAME: &str = "qemu-bridge-helper";
    let prefix = program.parent().and_then(Path::parent);
    let near = prefix
        .into_iter()
        .flat_map(|dir| [dir.join("libexec"), dir.join("lib/qemu")]);
    let known = ["/usr/lib/qemu", "/usr/libexec"].map(PathBuf::from);
    program::find_in(NAME, &near.chain(known).collect::<Vec<_>>())
}

/// Memory of the host in MiB, from `<proc>/meminfo`.
pub fn memory_mib(proc: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(proc.join("meminfo")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}
