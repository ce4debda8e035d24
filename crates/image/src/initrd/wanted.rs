//! The kernel modules that a VM needs before its own init runs.

use spec::Vm;
use spec::agent::Channel;
use spec::vm::{Arch, Hypervisor, RootShare, ShareProto, StoreKind};

use super::boot;

/// A module; with a reason it must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: &'static str,
    pub reason: Option<&'static str>,
}

/// In the order in which they are loaded, without their dependencies.
pub fn modules(vm: &Vm) -> Vec<Wanted> {
    let mut list = List::default();
    // A custom kernel may have them built in, or not at all.
    list.optional(transports(vm.hypervisor));
    root(vm, &mut list);
    volumes(vm, &mut list);
    for share in &vm.shares {
        match share.proto {
            ShareProto::NineP { .. } => nine_p(&mut list),
            ShareProto::Virtiofs { .. } => list.needed("virtiofs", "a virtiofs share"),
        }
    }
    devices(vm, &mut list);
    credentials(vm, &mut list);
    stop(vm, &mut list);
    list.modules
}

/// Where both are possible, it depends on the machine and the hypervisor's version; the one that
/// is not there finds nothing to do.
fn transports(hypervisor: Hypervisor) -> &'static [&'static str] {
    match hypervisor {
        Hypervisor::Qemu
        | Hypervisor::Firecracker
        | Hypervisor::Kvmtool
        | Hypervisor::Stratovirt => &["virtio_mmio", "virtio_pci"],
        Hypervisor::CloudHypervisor
        | Hypervisor::Crosvm
        | Hypervisor::Alioth
        | Hypervisor::Vfkit => &["virtio_pci"],
    }
}

fn root(vm: &Vm, list: &mut List) {
    list.needed("overlay", "the root's overlay");
    match vm.store.kind {
        StoreKind::Erofs { .. } => {
            list.needed("virtio_blk", "the store disk");
            // erofs has no hard dependency on what computes its checksums.
            list.optional(&["crc32c_generic"]);
            list.needed("erofs", "`storeDiskType = \"erofs\"`");
        }
        StoreKind::Squashfs { .. } => {
            list.needed("virtio_blk", "the store disk");
            list.needed("squashfs", "`storeDiskType = \"squashfs\"`");
        }
        StoreKind::Share(RootShare::NineP) => nine_p(list),
        StoreKind::Share(RootShare::Virtiofs) => list.needed("virtiofs", "`storeOnDisk = false`"),
    }
}

fn nine_p(list: &mut List) {
    list.needed("9pnet_virtio", "a 9p share");
    list.needed("9p", "a 9p share");
}

fn volumes(vm: &Vm, list: &mut List) {
    if !vm.volumes.is_empty() {
        list.needed("virtio_blk", "a volume");
    }
    for volume in vm
        .volumes
        .iter()
        .filter(|volume| volume.mount_point.is_some())
    {
        match volume.fs_type.as_str() {
            // ext4 serves all three. Journals and btrfs ask for their checksums by name, which
            // would need modprobe in the initrd.
            "ext2" | "ext3" | "ext4" => {
                list.optional(&["crc32c_generic", "crc32c_intel"]);
                list.needed("ext4", "a volume with an ext file system");
            }
            "xfs" => {
                list.optional(&["crc32c_generic", "crc32c_intel"]);
                list.needed("xfs", "a volume with `fsType = \"xfs\"`");
            }
            "btrfs" => {
                list.optional(&[
                    "crc32c_generic",
                    "crc32c_intel",
                    "xxhash_generic",
                    "sha256_generic",
                    "blake2b_generic",
                ]);
                list.needed("btrfs", "a volume with `fsType = \"btrfs\"`");
            }
            "vfat" => {
                list.optional(&["nls_cp437", "nls_ascii", "nls_iso8859-1"]);
                list.needed("vfat", "a volume with `fsType = \"vfat\"`");
            }
            "f2fs" => {
                list.optional(&["crc32_generic", "crc32-pclmul"]);
                list.needed("f2fs", "a volume with `fsType = \"f2fs\"`");
            }
            // Whatever else a volume has is the guest's own business to load.
            _ => {}
        }
    }
}

fn devices(vm: &Vm, list: &mut List) {
    if !vm.interfaces.is_empty() {
        list.needed("virtio_net", "an interface");
    }
    if vm.memory.balloon.is_some() {
        list.needed("virtio_balloon", "`balloon`");
    }
    if vm.memory.hotplug.is_some() {
        list.needed("virtio_mem", "`hotplugMem`");
    }
    if vm.vsock.is_some() {
        list.needed("vmw_vsock_virtio_transport", "`vsock.cid`");
    }
    // Entropy for the first keys.
    list.optional(&["virtio-rng"]);
}

fn credentials(vm: &Vm, list: &mut List) {
    if boot::credentials_disk(vm).is_some() {
        list.needed("virtio_blk", "`credentialFiles`");
    } else if !vm.credential_files.is_empty() {
        // systemd imports credentials before it could load the module.
        list.optional(&["qemu_fw_cfg"]);
    }
}

/// What asks for a graceful stop: the power button, the keyboard of Ctrl-Alt-Del, or the agent's
/// channel.
fn stop(vm: &Vm, list: &mut List) {
    const REASON: &str = "a graceful stop with this hypervisor";
    if boot::asks_by_button(vm) {
        // Through which our init and our agent hear of the button; udev loads it for others.
        list.optional(&["evdev"]);
    }
    match (vm.hypervisor, vm.arch) {
        (
            Hypervisor::Qemu | Hypervisor::CloudHypervisor | Hypervisor::Crosvm | Hypervisor::Vfkit,
            _,
        ) => list.optional(&["button"]),
        // Before udev runs, as with the power button: a stop may be asked for early.
        (Hypervisor::Firecracker, Arch::X86_64) => list.optional(&["i8042", "atkbd"]),
        _ => {}
    }
    match Channel::of(vm.hypervisor, vm.arch) {
        Some(Channel::Port) => list.needed("virtio_console", REASON),
        Some(Channel::Vsock) => list.needed("vmw_vsock_virtio_transport", REASON),
        // Serial ports are built into every kernel that has a console.
        Some(Channel::Serial) | None => {}
    }
}

#[derive(Default)]
struct List {
    modules: Vec<Wanted>,
}

impl List {
    fn needed(&mut self, name: &'static str, reason: &'static str) {
        self.add(Wanted {
            name,
            reason: Some(reason),
        });
    }

    fn optional(&mut self, names: &[&'static str]) {
        for name in names {
            self.add(Wanted { name, reason: None });
        }
    }

    fn add(&mut self, wanted: Wanted) {
        if !self.modules.iter().any(|known| known.name == wanted.name) {
            self.modules.push(wanted);
        }
    }
}
