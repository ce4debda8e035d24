//! The checked definition of one virtual machine.
//!
//! A [`Vm`] exists only if every rule that needs no host and no hypervisor held. It does not
//! know which files a build made of its guest, nor what one hypervisor can do.

mod kernel_format;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::guest::Guest;
use crate::names::{Cid, InterfaceId, MacAddr, ShareTag, VmName};

pub use kernel_format::KernelFormat;

/// One virtual machine whose definition was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    pub name: VmName,
    pub hypervisor: Hypervisor,
    pub arch: Arch,
    pub vcpu: NonZeroU32,
    /// CPU model to emulate in software (QEMU's TCG) instead of using KVM.
    pub cpu: Option<String>,
    pub memory: Memory,
    pub boot: Boot,
    pub store: Store,
    pub volumes: Vec<Volume>,
    pub shares: Vec<Share>,
    pub interfaces: Vec<Interface>,
    pub forward_ports: Vec<ForwardPort>,
    pub devices: Vec<Device>,
    pub vsock: Option<Cid>,
    /// Control socket, relative to the state directory; `None` gives no control.
    pub socket: Option<PathBuf>,
    /// User that the hypervisor switches to when started as root.
    pub user: Option<String>,
    /// Shell commands of the user's own, run by `/bin/sh` before the hypervisor.
    pub pre_start: String,
    /// Program whose standard output adds arguments, split on white space.
    pub extra_args_script: Option<PathBuf>,
    pub pretty_procnames: bool,
    pub machine_id: MachineId,
    pub register_with_machined: bool,
    /// systemd credentials for the guest: name to file on the host.
    pub credential_files: BTreeMap<String, PathBuf>,
    pub graphics: Option<Graphics>,
    pub virtiofsd: Virtiofsd,
    pub options: HypervisorOptions,
    pub guest: Guest,
}

/// The hypervisors, in the order of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hypervisor {
    Qemu,
    CloudHypervisor,
    Firecracker,
    Crosvm,
    Kvmtool,
    Stratovirt,
    Alioth,
    Vfkit,
}

impl Hypervisor {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Qemu,
        Self::CloudHypervisor,
        Self::Firecracker,
        Self::Crosvm,
        Self::Kvmtool,
        Self::Stratovirt,
        Self::Alioth,
        Self::Vfkit,
    ];

    /// Their names, in the same order.
    pub const NAMES: [&'static str; 8] = {
        let mut names = [""; 8];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].as_str();
            at += 1;
        }
        names
    };

    /// `cloud-hypervisor`
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::CloudHypervisor => "cloud-hypervisor",
            Self::Firecracker => "firecracker",
            Self::Crosvm => "crosvm",
            Self::Kvmtool => "kvmtool",
            Self::Stratovirt => "stratovirt",
            Self::Alioth => "alioth",
            Self::Vfkit => "vfkit",
        }
    }
}

impl std::fmt::Display for Hypervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Processor architecture of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Arch {
    #[serde(rename = "x86_64")]
    X86_64,
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// `x86_64`
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub mem_mib: u64,
    pub hugepages: bool,
    pub hotplug: Option<Hotplug>,
    pub balloon: Option<Balloon>,
}

/// virtio-mem: memory that can be added while the guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hotplug {
    pub max_mib: u64,
    /// Plugged at power-on; at most `max_mib`.
    pub plugged_mib: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balloon {
    pub initial_mib: u64,
    pub deflate_on_oom: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    pub kernel: Kernel,
    /// An initrd of the user's own in place of ours.
    pub initrd: Option<PathBuf>,
    pub kernel_params: Vec<String>,
}

/// Which kernel is booted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// The distribution's kernel that has what the VM needs: cloud, else generic.
    Auto,
    /// The distribution's small kernel for virtual machines.
    Cloud,
    /// The distribution's ordinary kernel.
    Generic,
    /// A kernel image, or a directory with `vmlinuz` or `vmlinux` and `lib/modules`.
    Path(PathBuf),
}

/// How the guest gets its read-only files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    pub kind: StoreKind,
    /// Path in the guest whose volume holds what is written over the store; see
    /// `writableStoreOverlay`.
    pub writable_overlay: Option<PathBuf>,
    pub register_closure: bool,
    /// File that names the guest's own store paths, where a share of the host's store shows no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A disk image that the build makes. `None`: the flags that suit the guest's kernel and the
    /// program that is there.
    Erofs {
        flags: Option<Vec<String>>,
    },
    Squashfs {
        flags: Option<Vec<String>>,
    },
    /// No image: the tree itself, through an implicit share with the tag `store`.
    Share(RootShare),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootShare {
    NineP,
    Virtiofs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Relative to the state directory.
    pub image: PathBuf,
    pub mount_point: Option<PathBuf>,
    pub fs_type: String,
    pub label: Option<String>,
    pub serial: Option<String>,
    pub access: Access,
    pub direct: bool,
    pub create: Create,
    pub image_type: ImageType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    ReadWrite,
    ReadOnly,
}

/// What happens to a volume before the hypervisor starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Create {
    /// Created sparse and formatted where it is absent, grown where `size_mib` grew.
    Auto {
        size_mib: u64,
        mkfs_extra_args: Vec<String>,
    },
    /// Must be there.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageType {
    Raw,
    Qcow2,
    Vhd,
    Vhdx,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub tag: ShareTag,
    /// Directory on the host, relative to the state directory.
    pub source: PathBuf,
    pub mount_point: PathBuf,
    pub access: Access,
    pub proto: ShareProto,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareProto {
    NineP {
        security_model: SecurityModel,
    },
    Virtiofs {
        socket: PathBuf,
        cache: ShareCache,
        posix_acl: bool,
        extra_args: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityModel {
    Passthrough,
    None,
    Mapped,
    MappedFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareCache {
    Auto,
    Always,
    Metadata,
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub id: InterfaceId,
    pub mac: MacAddr,
    pub kind: InterfaceKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceKind {
    User,
    Tap { vhost: bool },
    Macvtap { link: String, mode: MacvtapMode },
    Bridge { bridge: InterfaceId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacvtapMode {
    Private,
    Vepa,
    Bridge,
    Passthru,
    Source,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardPort {
    pub from: From,
    pub proto: Proto,
    pub host: Endpoint,
    pub guest: Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    Host,
    Guest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proto {
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `None`: every address of the host, the guest's own address.
    pub address: Option<std::net::Ipv4Addr>,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    Pci {
        /// `DDDD:BB:DD.F`
        address: String,
        qemu: QemuDevice,
    },
    Usb {
        /// What QEMU's `usb-host` takes: `vendorid=0x…,productid=0x…` or `hostbus=…,hostaddr=…`
        path: String,
        qemu: QemuDevice,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QemuDevice {
    pub id: Option<String>,
    pub bus: Option<String>,
    pub extra_args: Option<String>,
}

/// 32 lower-case hex digits, as in `/etc/machine-id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub(crate) String);

impl MachineId {
    /// 32 hex digits.
    pub fn as_hex(&self) -> &str {
        &self.0
    }

    /// `8-4-4-4-12`, as SMBIOS has it.
    pub fn as_uuid(&self) -> String {
        let h = &self.0;
        format!(
            "{}-{}-{}-{}-{}",
            &h[..8],
            &h[8..12],
            &h[12..16],
            &h[16..20],
            &h[20..]
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graphics {
    pub backend: GraphicsBackend,
    pub socket: PathBuf,
    pub vulkan: Option<Vulkan>,
    /// As written: a number with `K`, `M` or `G`.
    pub hostmem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphicsBackend {
    Gtk,
    Cocoa,
    Headless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vulkan {
    Venus,
    DrmNativeContext,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Virtiofsd {
    /// Program to run instead of the daemon built in.
    pub program: Option<PathBuf>,
    pub group: Option<String>,
    /// `None`: as many threads as the host has processors.
    pub thread_pool_size: Option<u32>,
    pub inode_file_handles: Option<InodeFileHandles>,
    pub extra_args: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InodeFileHandles {
    Never,
    Prefer,
    Mandatory,
}

/// What is meant for one hypervisor; kept whole so that `hypervisor` can change alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HypervisorOptions {
    pub qemu: QemuOptions,
    pub cloud_hypervisor: CloudHypervisorOptions,
    pub crosvm: CrosvmOptions,
    pub firecracker: FirecrackerOptions,
    pub kvmtool: Package,
    pub stratovirt: Package,
    pub alioth: Package,
    pub vfkit: VfkitOptions,
}

/// A program (or a directory with it in `bin/`) to use instead of the one on PATH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub package: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QemuOptions {
    pub machine: QemuMachine,
    /// In place of the default machine options, where given.
    pub machine_opts: Option<BTreeMap<String, String>>,
    pub extra_args: Vec<String>,
    pub serial_console: bool,
    pub pcie_root_ports: Vec<PcieRootPort>,
    pub package: Option<PathBuf>,
}

/// QEMU's machine type; a versioned one (`pc-q35-7.2`) keeps its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QemuMachine {
    Microvm,
    Q35,
    Virt,
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcieRootPort {
    pub id: String,
    pub bus: Option<String>,
    pub chassis: Option<u8>,
    pub slot: Option<String>,
    pub addr: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudHypervisorOptions {
    pub platform_oem_strings: Vec<String>,
    pub extra_args: Vec<String>,
    pub package: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrosvmOptions {
    pub pivot_root: Option<PathBuf>,
    pub extra_args: Vec<String>,
    pub package: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirecrackerOptions {
    pub cpu: Option<serde_json::Map<String, serde_json::Value>>,
    pub drive_io_engine: DriveIoEngine,
    pub extra_args: Vec<String>,
    pub extra_config: serde_json::Map<String, serde_json::Value>,
    pub package: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DriveIoEngine {
    #[default]
    Async,
    Sync,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VfkitOptions {
    pub log_level: Option<VfkitLogLevel>,
    pub extra_args: Vec<String>,
    pub rosetta: Option<Rosetta>,
    pub package: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VfkitLogLevel {
    Debug,
    Info,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rosetta {
    pub install: bool,
    pub ignore_if_missing: bool,
}
