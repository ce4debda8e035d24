//! The initrd as a store entry.

use std::path::PathBuf;

use spec::Vm;

use super::system::Parts;
use crate::context::BuildContext;
use crate::error::Error;
use crate::progress::Phase;
use crate::store::{Digest, Seal, Store};

pub(super) fn build(
    vm: &Vm,
    parts: &Parts,
    store: &Store,
    context: &BuildContext,
) -> Result<PathBuf, Error> {
    if let Some(own) = &vm.boot.initrd {
        return Ok(own.clone());
    }
    let modules = parts.kernel.modules.as_deref();
    // A path of this store without the store: the same in every store.
    let entry = parts
        .kernel_entry
        .as_ref()
        .and_then(|entry| entry.file_name());
    let entry = entry.map(|name| name.to_string_lossy());
    let digest = Digest::of("initrd")
        .field("identity", context.initrd.identity(vm))
        .json("kernel", &entry)
        .finish();
    store.add("initrd", &digest, &[], context.interrupted, |staging| {
        context.progress.start(Phase::Initrd, "");
        context
            .initrd
            .write(vm, modules, &staging.out())
            .map_err(Error::Initrd)?;
        Ok(Seal::ReadOnly)
    })
}
