//! `/microvm.conf` of the initrd: what to load, what to wait for and what to mount.

/// What guest-init does before it hands over to the guest's own init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootConfig {
    pub hostname: String,
    /// Files under `/modules` of the initrd, in the order in which they are loaded.
    pub modules: Vec<String>,
    pub root: Root,
    /// Where writes to the root go.
    pub overlay: Overlay,
    /// Parents before children.
    pub mounts: Vec<Mount>,
    /// The guest's init, normally `/sbin/init`.
    pub init: String,
    pub device_timeout_secs: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    Disk { disk: DiskRef, fs_type: String },
    Share { tag: String, proto: ShareProto },
}

/// A virtio disk: by serial number where the hypervisor gives it one, else by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskRef {
    pub serial: Option<String>,
    /// 0 is `/dev/vda`.
    pub index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareProto {
    NineP,
    Virtiofs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    Tmpfs,
    /// `store` and `work` below this mount point, which is one of `mounts`.
    At(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub what: What,
    pub mount_point: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Disk { disk: DiskRef, fs_type: String },
    Share { tag: String, proto: ShareProto },
}
