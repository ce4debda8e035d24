//! What guest-init is told about a VM.

use guest_init::config::{
    Agent, BootConfig, Commands, DiskRef, Leave, Mount, Overlay, Root, ShareProto, What,
};
use spec::Vm;
use spec::agent::{self, Channel};
use spec::guest::GuestSource;
use spec::vm::{self, Access, Hypervisor, RootShare, Share, StoreKind, Volume};

/// Longest that a device may take to appear; under emulation on a busy host seconds are normal.
const DEVICE_TIMEOUT_SECS: u32 = 30;

/// Serial number of the store disk.
const STORE: &str = "store";

pub fn config(vm: &Vm, modules: Vec<String>) -> BootConfig {
    let mut mounts = volumes(vm);
    mounts.extend(vm.shares.iter().map(share));
    // Parents before children; equal depth keeps the order of the definition.
    mounts.sort_by_key(|mount| mount.mount_point.matches('/').count());
    BootConfig {
        hostname: vm.name.to_string(),
        modules,
        root: root(vm),
        overlay: overlay(vm, &mounts),
        mounts,
        init: "/sbin/init".to_owned(),
        device_timeout_secs: DEVICE_TIMEOUT_SECS,
        leave: leave(vm.hypervisor),
        agent: agent(vm),
        credentials: credentials_disk(vm),
        commands: vm.vsock.map(|_| commands(vm.hypervisor)),
        may_have_entry: matches!(vm.guest.source, GuestSource::Oci(_)),
    }
}

/// firecracker and kvmtool keep running after a power-off; cloud-hypervisor, crosvm,
/// alioth and vfkit start the guest again after a reset. QEMU gets `-no-reboot`, and ends after
/// either.
fn leave(hypervisor: Hypervisor) -> Leave {
    match hypervisor {
        Hypervisor::Qemu => Leave::AsAsked,
        Hypervisor::Firecracker | Hypervisor::Kvmtool => Leave::Reset,
        Hypervisor::CloudHypervisor
        | Hypervisor::Crosvm
        | Hypervisor::Stratovirt
        | Hypervisor::Alioth
        | Hypervisor::Vfkit => Leave::PowerOff,
    }
}

/// Any user of a host can connect to a guest whose vsock is the kernel's (vhost); a hypervisor's own
/// is behind a socket file.
pub fn commands(hypervisor: Hypervisor) -> Commands {
    match hypervisor {
        Hypervisor::Qemu | Hypervisor::Crosvm | Hypervisor::Kvmtool | Hypervisor::Stratovirt => {
            Commands::Reserved
        }
        Hypervisor::CloudHypervisor
        | Hypervisor::Firecracker
        | Hypervisor::Alioth
        | Hypervisor::Vfkit => Commands::Any,
    }
}

/// Who hears that the guest is to stop, where its system does not.
fn agent(vm: &Vm) -> Option<Agent> {
    match Channel::of(vm.hypervisor, vm.arch) {
        Some(channel) => Some(agent_at(channel)),
        None => asks_by_button(vm).then_some(Agent::Button),
    }
}

pub fn agent_at(channel: Channel) -> Agent {
    match channel {
        Channel::Serial => Agent::Serial(agent::SERIAL.to_owned()),
        Channel::Port => Agent::Port(agent::PORT_NAME.to_owned()),
        Channel::Vsock => Agent::Vsock(agent::VSOCK_PORT),
    }
}

/// Whether a stop is asked for by the power button, of a guest that need not have what looks at it.
pub fn asks_by_button(vm: &Vm) -> bool {
    let has_button = matches!(
        vm.hypervisor,
        Hypervisor::Qemu | Hypervisor::CloudHypervisor | Hypervisor::Crosvm | Hypervisor::Vfkit
    );
    let is_foreign = matches!(
        vm.guest.source,
        GuestSource::Oci(_) | GuestSource::Directory(_)
    );
    has_button && is_foreign
}

/// After the volumes, where there are credentials that no firmware carries.
pub fn credentials_disk(vm: &Vm) -> Option<DiskRef> {
    let wanted = !vm.credential_files.is_empty() && spec::credentials::on_disk(vm.hypervisor);
    let place = first_volume(vm) as usize + vm.volumes.len();
    wanted.then(|| disk(vm, place as u32, spec::credentials::DISK_SERIAL))
}

/// firecracker and kvmtool give every disk a number of their own (that of the image's inode),
/// alioth the name of its device; only the place tells their disks apart.
fn disk(vm: &Vm, index: u32, serial: &str) -> DiskRef {
    let by_place = matches!(
        vm.hypervisor,
        Hypervisor::Firecracker | Hypervisor::Kvmtool | Hypervisor::Alioth
    );
    DiskRef {
        serial: (!by_place).then(|| serial.to_owned()),
        index,
    }
}

fn root(vm: &Vm) -> Root {
    let disk = |fs_type: &str| Root::Disk {
        disk: disk(vm, 0, STORE),
        fs_type: fs_type.to_owned(),
    };
    match &vm.store.kind {
        StoreKind::Erofs { .. } => disk("erofs"),
        StoreKind::Squashfs { .. } => disk("squashfs"),
        StoreKind::Share(proto) => Root::Share {
            tag: STORE.to_owned(),
            proto: match proto {
                RootShare::NineP => ShareProto::NineP,
                RootShare::Virtiofs => ShareProto::Virtiofs,
            },
        },
    }
}

/// On the volume at that place where there is one; else what is written there is gone with the
/// VM, as everything in the tmpfs is.
fn overlay(vm: &Vm, mounts: &[Mount]) -> Overlay {
    let Some(path) = &vm.store.writable_overlay else {
        return Overlay::Tmpfs;
    };
    let path = path.to_string_lossy().into_owned();
    let is_volume =
        |mount: &&Mount| mount.mount_point == path && matches!(mount.what, What::Disk { .. });
    match mounts.iter().find(is_volume) {
        Some(_) => Overlay::At(path),
        None => Overlay::Tmpfs,
    }
}

fn volumes(vm: &Vm) -> Vec<Mount> {
    let first = first_volume(vm);
    let numbered = (0u32..).zip(&vm.volumes);
    numbered
        .filter_map(|(number, volume)| self::volume(vm, volume, number, first))
        .collect()
}

/// Place of the first volume: the store disk is before it.
fn first_volume(vm: &Vm) -> u32 {
    match vm.store.kind {
        StoreKind::Share(_) => 0,
        _ => 1,
    }
}

fn volume(vm: &Vm, volume: &Volume, number: u32, first: u32) -> Option<Mount> {
    let own = format!("vol{number}");
    let serial = volume.serial.as_deref().unwrap_or(&own);
    Some(Mount {
        what: What::Disk {
            disk: disk(vm, first + number, serial),
            fs_type: volume.fs_type.clone(),
        },
        mount_point: volume.mount_point.as_ref()?.to_string_lossy().into_owned(),
        read_only: volume.access == Access::ReadOnly,
    })
}

fn share(share: &Share) -> Mount {
    Mount {
        what: What::Share {
            tag: share.tag.to_string(),
            proto: match share.proto {
                vm::ShareProto::NineP { .. } => ShareProto::NineP,
                vm::ShareProto::Virtiofs { .. } => ShareProto::Virtiofs,
            },
        },
        mount_point: share.mount_point.to_string_lossy().into_owned(),
        read_only: share.access == Access::ReadOnly,
    }
}
