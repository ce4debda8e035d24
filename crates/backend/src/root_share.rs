//! The implicit share that a guest without a store disk has its root on.

use std::path::PathBuf;

use spec::Vm;
use spec::guest::GuestSource;
use spec::vm::{RootShare, StoreKind};

/// Tag of the share in the guest, and its name everywhere else.
pub const TAG: &str = "store";

/// The protocol of the root share, where a VM has one. A guest that was built elsewhere mounts what
/// its own shares bring.
pub fn proto(vm: &Vm) -> Option<RootShare> {
    if matches!(vm.guest.source, GuestSource::Given { .. }) {
        return None;
    }
    match vm.store.kind {
        StoreKind::Share(proto) => Some(proto),
        StoreKind::Erofs { .. } | StoreKind::Squashfs { .. } => None,
    }
}

/// The socket of its virtiofs daemon, relative to the state directory.
pub fn socket(vm: &Vm) -> PathBuf {
    PathBuf::from(format!("{}-virtiofs-{TAG}.sock", vm.name))
}
