//! The kernel modules that a VM needs before its own init runs.

use spec::Vm;
use spec::vm::{RootShare, ShareProto, StoreKind};

/// A module; with a reason it must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: &'static str,
    pub reason: Option<&'static str>,
}

/// In the order in which they are loaded, without their dependencies.
pub fn modules(vm: &Vm) -> Vec<Wanted> {
    let mut list = List::default();
    // Which of the two transports it is depends on the hypervisor's version; the other finds
    // nothing to do. A custom kernel may have either built in, or not at all.
    list.optional(&["virtio_mmio", "virtio_pci"]);
    root(vm, &mut list);
    volumes(vm, &mut list);
    for share in &vm.shares {
        match share.proto {
            ShareProto::NineP { .. } => nine_p(&mut list),
            ShareProto::Virtiofs { .. } => list.needed("virtiofs", "a virtiofs share"),
        }
    }
    devices(vm, &mut list);
    list.modules
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
    // systemd imports credentials before it could load the module.
    if !vm.credential_files.is_empty() {
        list.optional(&["qemu_fw_cfg"]);
    }
    // The power button, which asks for a graceful stop, and entropy for the first keys.
    list.optional(&["button", "virtio-rng"]);
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
