//! All parts of a guest under one store path, by which versions are told apart.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use spec::Vm;

use super::initrd;
use super::kernel::Kernel;
use super::root::Root;
use super::vmlinux;
use crate::built::Built;
use crate::context::BuildContext;
use crate::error::{Error, io_at};
use crate::kernel::KernelFiles;
use crate::store::{Digest, Seal, Store};

/// What a source gave, but for the initrd.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) kernel: KernelFiles,
    pub(super) kernel_entry: Option<PathBuf>,
    pub(super) root: Option<Root>,
    pub(super) given_disk: Option<PathBuf>,
}

impl Parts {
    pub(super) fn new(kernel: Kernel, root: Root, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kernel: kernel.files,
            kernel_entry: Some(kernel.entry),
            root: Some(root),
            given_disk: None,
        }
    }
}

/// Makes the initrd and the entry that links to everything.
pub(super) fn assemble(
    vm: &Vm,
    parts: Parts,
    store: &Store,
    context: &BuildContext,
) -> Result<Built, Error> {
    let kernel = vmlinux::build(vm, &parts, store, context)?;
    let initrd = initrd::build(vm, &parts, store, context)?;
    let (store_disk, root_tree) = match &parts.root {
        Some(Root::Disk(disk)) => (Some(disk.clone()), None),
        Some(Root::Tree(entry)) => (None, Some(entry.join("root"))),
        None => (parts.given_disk, None),
    };
    let root_entry = match parts.root {
        Some(Root::Disk(entry) | Root::Tree(entry)) => Some(entry),
        None => None,
    };
    let links: Vec<(&str, PathBuf)> = [
        ("kernel", Some(kernel.as_path())),
        ("initrd", Some(initrd.as_path())),
        ("store-disk", store_disk.as_deref()),
        ("root", root_tree.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, path)| Some((name, from_entry(path?, store))))
    .collect();
    let mut references: Vec<PathBuf> = parts.kernel_entry.into_iter().chain(root_entry).collect();
    references.extend([kernel.clone(), initrd.clone()]);
    references.retain(|path| path.starts_with(store.dir()));
    let system = link_all(
        &format!("{}-guest", parts.name),
        &links,
        &references,
        store,
        context,
    )?;
    references.push(system.clone());
    Ok(Built {
        kernel,
        initrd,
        store_disk,
        root_tree,
        kernel_params: Vec::new(),
        system,
        references,
    })
}

/// A path as an entry of the same store can name it: stores can be moved and compared.
fn from_entry(path: &Path, store: &Store) -> PathBuf {
    match path.strip_prefix(store.dir()) {
        Ok(inner) => Path::new("..").join(inner),
        Err(_) => path.to_owned(),
    }
}

fn link_all(
    name: &str,
    links: &[(&str, PathBuf)],
    references: &[PathBuf],
    store: &Store,
    context: &BuildContext,
) -> Result<PathBuf, Error> {
    let digest = links
        .iter()
        .fold(Digest::of("system"), |digest, (name, target)| {
            digest.field(name, target.as_os_str().as_encoded_bytes())
        });
    let digest = digest.finish();
    store.add(name, &digest, references, context.interrupted, |staging| {
        let out = staging.out();
        fs::create_dir(&out).map_err(io_at("create", &out))?;
        for (name, target) in links {
            let link = out.join(name);
            symlink(target, &link).map_err(io_at("create", &link))?;
        }
        Ok(Seal::ReadOnly)
    })
}
