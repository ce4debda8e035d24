//! From a checked VM to the store paths that it boots from.
//!
//! Every path follows from definition and lock alone: what is in the store already costs no
//! program run and no request.

mod debian;
mod directory;
mod given;
mod initrd;
mod kernel;
mod oci;
mod root;
mod system;
mod vmlinux;

pub use given::kernel as given_kernel;

use spec::Vm;
use spec::guest::GuestSource;

use crate::built::Built;
use crate::context::BuildContext;
use crate::error::Error;
use crate::lock::{Entry, Lock};
use crate::store::Store;

/// Builds a VM's guest, or finds it built.
///
/// `lock` may have changed afterwards: the caller saves it. What was built is safe from
/// collection until `store` is dropped; by then it must be rooted.
pub fn build(
    vm: &Vm,
    store: &Store,
    lock: &mut Lock,
    context: &BuildContext,
) -> Result<Built, Error> {
    context.check_interrupted()?;
    if vm.boot.initrd.is_none() && !context.initrd.serves(vm.arch) {
        return Err(Error::NoGuestInit { arch: vm.arch });
    }
    let parts = match &vm.guest.source {
        GuestSource::Debian(source) => debian::build(vm, source, store, lock, context)?,
        GuestSource::Directory(tree) => directory::build(vm, tree, store, context)?,
        GuestSource::Oci(source) => oci::build(vm, source, store, lock, context)?,
        GuestSource::Given { store_disk } => given::find(vm, store_disk.as_deref())?,
    };
    system::assemble(vm, parts, store, context)
}

/// What a lock pins for a VM's guest; `None` where it pins nothing yet, or nothing is pinned.
pub fn pinned<'a>(vm: &Vm, lock: &'a Lock) -> Option<&'a Entry> {
    match &vm.guest.source {
        GuestSource::Debian(source) => debian::pinned(vm, source, lock),
        GuestSource::Directory(_) | GuestSource::Oci(_) | GuestSource::Given { .. } => None,
    }
}
