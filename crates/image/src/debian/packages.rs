//! Which packages every guest has, and which kernel.

use serde::Serialize;
use spec::Vm;
use spec::vm::{Arch, Device, Hypervisor, Kernel, RootShare, ShareProto, StoreKind};

/// What a guest has beside Debian's essential and required packages.
///
/// `kmod` is there because the kernel's own package, which would pull it in, is not installed;
/// `libnss-myhostname` resolves the host name that only the boot decides; `login`, without which
/// no console lets anybody in, is no longer essential from trixie on; `mount`, with which systemd
/// mounts, nothing pulls in after trixie.
pub(crate) const BASE: [&str; 12] = [
    "apt",
    "dbus",
    "iproute2",
    "kmod",
    "libnss-myhostname",
    "libpam-systemd",
    "login",
    "mount",
    "openssh-server",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
];

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flavour {
    Cloud,
    Generic,
}

impl Flavour {
    /// The flavour that a VM asks for; `None` where its kernel is a path.
    ///
    /// The cloud kernel has no 9p, no USB and no graphics, drivers for virtual devices only, and does
    /// not read MP tables, by which kvmtool tells of processors.
    pub(crate) fn of(vm: &Vm) -> Option<Self> {
        match vm.boot.kernel {
            Kernel::Path(_) => None,
            Kernel::Cloud => Some(Self::Cloud),
            Kernel::Generic => Some(Self::Generic),
            Kernel::Auto if needs_generic(vm) => Some(Self::Generic),
            Kernel::Auto => Some(Self::Cloud),
        }
    }

    /// Name of the package that depends on the current kernel.
    pub(crate) fn package(self, debian_arch: &str) -> String {
        match self {
            Self::Cloud => format!("linux-image-cloud-{debian_arch}"),
            Self::Generic => format!("linux-image-{debian_arch}"),
        }
    }
}

fn needs_generic(vm: &Vm) -> bool {
    let ninep = |share: &spec::vm::Share| matches!(share.proto, ShareProto::NineP { .. });
    let passed_through =
        |device: &Device| matches!(device, Device::Usb { .. } | Device::Pci { .. });
    let has_mp_table = vm.hypervisor == Hypervisor::Kvmtool && vm.arch == Arch::X86_64;
    vm.store.kind == StoreKind::Share(RootShare::NineP)
        || (has_mp_table && vm.vcpu.get() > 1)
        || vm.shares.iter().any(ninep)
        || vm.devices.iter().any(passed_through)
        || vm.graphics.is_some()
}

/// Debian's name of an architecture.
pub(crate) fn debian_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}
