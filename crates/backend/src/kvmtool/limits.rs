//! What kvmtool cannot do, beyond what the feature table tells.

use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::{Access, Arch, InterfaceKind, Kernel, SecurityModel, ShareProto, StoreKind};

use crate::refused::{Reason, Refusal, limit};

/// MAX_DISK_IMAGES.
const DISKS: usize = 4;
/// MAX_TAG_LEN of its 9p server.
const LONGEST_MOUNT_TAG: usize = 32;
/// `sun_path` without the closing zero; lkvm cuts off what is longer.
const LONGEST_SOCKET: usize = 107;
const HUGE_MIB: u64 = 2;

pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = disks(vm);
    limits.extend(shares(vm));
    limits.extend(user_networks(vm));
    limits.extend(interface_ids(vm));
    limits.extend(socket(vm));
    limits.extend(processors(vm));
    if vm.memory.hugepages && !vm.memory.mem_mib.is_multiple_of(HUGE_MIB) {
        let message = "Memory in huge pages is a multiple of 2 MiB";
        limits.push(limit("mem", vm.memory.mem_mib, message));
    }
    limits
}

/// It tells of processors in an MP table alone, which Debian's cloud kernels do not read
/// (CONFIG_X86_MPPARSE is not set in 6.1 and 6.12).
fn processors(vm: &Vm) -> Option<Refusal> {
    let is_blind = vm.boot.kernel == Kernel::Cloud && vm.arch == Arch::X86_64;
    (is_blind && vm.vcpu.get() > 1).then(|| {
        let message = "Debian's cloud kernel finds one of kvmtool's processors; `generic`, which is \
                       taken where `kernel` is not set, finds all";
        limit("kernel", "cloud", message)
    })
}

fn disks(vm: &Vm) -> Vec<Refusal> {
    let has_store = !matches!(vm.store.kind, StoreKind::Share(_));
    let has_credentials = !vm.credential_files.is_empty();
    let ours = usize::from(has_store) + usize::from(has_credentials);
    let mut limits = Vec::new();
    let count = vm.volumes.len();
    if count + ours > DISKS {
        let message = format!(
            "kvmtool has {DISKS} disks; beside the store disk and the one with credentials, \
             {} volumes are possible",
            DISKS - ours
        );
        limits.push(limit("volumes", count, message));
    }
    for (index, volume) in vm.volumes.iter().enumerate() {
        // It maps a read-only image, whatever it was told.
        if volume.direct && volume.access == Access::ReadOnly {
            let message = "kvmtool reads a read-only volume through the host's cache; a volume \
                           that is writable can do without";
            limits.push(limit(format!("volumes[{index}].direct"), true, message));
        }
    }
    limits
}

fn shares(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    for (index, share) in vm.shares.iter().enumerate() {
        let ShareProto::NineP { security_model } = share.proto else {
            continue;
        };
        if share.tag.len() > LONGEST_MOUNT_TAG {
            let message = format!("The tag of a 9p share has at most {LONGEST_MOUNT_TAG} bytes");
            limits.push(limit(format!("shares[{index}].tag"), &share.tag, message));
        }
        if security_model == SecurityModel::Passthrough {
            let message = "Files that the guest makes on a 9p share of kvmtool's belong to the \
                           user it runs as; `none` says so";
            let option = format!("shares[{index}].securityModel");
            limits.push(limit(option, "passthrough", message));
        }
    }
    limits
}

fn user_networks(vm: &Vm) -> Vec<Refusal> {
    let interfaces = vm.interfaces.iter().enumerate();
    interfaces
        .filter(|(_, interface)| interface.kind == InterfaceKind::User)
        .skip(1)
        .map(|(index, _)| {
            let message = "kvmtool has one user network; a second interface can be a `tap`";
            limit(format!("interfaces[{index}].type"), "user", message)
        })
        .collect()
}

fn interface_ids(vm: &Vm) -> Vec<Refusal> {
    let interfaces = vm.interfaces.iter().enumerate();
    interfaces
        .filter(|(_, interface)| matches!(interface.kind, InterfaceKind::Tap { .. }))
        .filter(|(_, interface)| interface.id.contains([',', '=']))
        .map(|(index, interface)| {
            let message = "kvmtool takes `,` and `=` for the end of an interface's name";
            limit(format!("interfaces[{index}].id"), &interface.id, message)
        })
        .collect()
}

/// lkvm makes the name of its socket from its home directory, for which the state directory
/// stands, and the name of the guest.
fn socket(vm: &Vm) -> Option<Refusal> {
    let socket = vm.socket.as_deref()?;
    let possible = socket.is_relative() && socket.to_string_lossy().ends_with(".sock");
    (!possible).then(|| {
        let message = "kvmtool has its socket below the state directory, with a name that ends \
                       with `.sock`";
        limit("socket", socket.display(), message)
    })
}

/// As lkvm hands it to the kernel.
pub(super) fn socket_path(vm: &Vm, state: &Path) -> Option<Reason> {
    let name = match &vm.socket {
        Some(socket) => socket.clone(),
        None => PathBuf::from(format!("{}.sock", vm.name)),
    };
    let path = state.join(".lkvm/..").join(name);
    // Two slashes stand before the name.
    let length = path.as_os_str().len() + 1;
    (length > LONGEST_SOCKET).then_some(Reason::SocketPath {
        path,
        length,
        most: LONGEST_SOCKET,
    })
}
