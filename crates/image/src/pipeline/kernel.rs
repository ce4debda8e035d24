//! Kernels as store entries.

use std::path::{Path, PathBuf};

use crate::context::BuildContext;
use crate::directory::content_digest;
use crate::error::Error;
use crate::kernel::KernelFiles;
use crate::store::{Digest, Seal, Store};

/// A kernel in the store.
pub(super) struct Kernel {
    pub(super) entry: PathBuf,
    pub(super) files: KernelFiles,
    /// What the entry was made from.
    pub(super) identity: String,
    /// Whether it came with the guest's packages or tree, so that the modules are there anyway.
    pub(super) of_guest: bool,
}

/// Installs what `find` finds (or makes, in the directory that it is given).
pub(super) fn install(
    name: &str,
    identity: String,
    store: &Store,
    context: &BuildContext,
    find: &dyn Fn(&Path) -> Result<KernelFiles, Error>,
) -> Result<Kernel, Error> {
    let digest = Digest::of("kernel").field("from", &identity).finish();
    let entry = store.add(name, &digest, &[], context.interrupted, |staging| {
        let found = find(&staging.scratch("unpacked"))?;
        found.install(&staging.out(), context.interrupted)?;
        Ok(Seal::ReadOnly)
    })?;
    Ok(Kernel {
        files: KernelFiles::find(&entry)?,
        entry,
        identity,
        of_guest: true,
    })
}

/// The kernel that a definition names by path.
pub(super) fn from_path(
    path: &Path,
    store: &Store,
    context: &BuildContext,
) -> Result<Kernel, Error> {
    let kernel = from_files(&KernelFiles::given(path)?, store, context)?;
    Ok(Kernel {
        of_guest: false,
        ..kernel
    })
}

/// A kernel of files that are there, known by their content.
pub(super) fn from_files(
    files: &KernelFiles,
    store: &Store,
    context: &BuildContext,
) -> Result<Kernel, Error> {
    let mut identity = content_digest(&files.image, context)?;
    if let (Some(modules), Some(release)) = (&files.modules, files.release()) {
        let modules = content_digest(modules, context)?;
        identity = format!("{identity} {release} {modules}");
    }
    install("linux", identity, store, context, &|_| Ok(files.clone()))
}
