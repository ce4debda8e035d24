//! Runner packages: built from a checked VM, linked, found again.

use std::path::{Path, PathBuf};

use backend::package::{Entry, Runner};
use image::store::{Digest, Store};
use spec::Vm;

use crate::definition::Definition;
use crate::error::{Error, Kind, OrKind, Result};
use crate::places::Places;
use crate::progress::TermProgress;
use crate::reference::{Reference, Source};

/// A runner package in the store.
pub struct Package {
    pub vm: Vm,
    pub path: PathBuf,
    /// What stands for the guest's system.
    pub system: PathBuf,
}

/// Builds the guest and writes its runner package; both are taken from the store where they are.
pub fn build(vm: &Vm, definition: &Definition, places: &Places, update: bool) -> Result<Package> {
    let store = Store::open(&places.store).or_kind(Kind::Storage)?;
    let mut lock = image::lock::Lock::open(&definition.lock).or_kind(Kind::Definition)?;
    let exe = own_path()?;
    let progress = TermProgress::new();
    let context = image::Context {
        cache: &places.cache,
        hook_exe: &exe,
        update,
        progress: &progress,
    };
    let built = image::build(vm, &store, &mut lock, &context).map_err(image_error)?;
    lock.save(&definition.lock).or_kind(Kind::Storage)?;
    drop(progress);
    let files = backend::plan::GuestFiles {
        kernel: built.kernel,
        initrd: built.initrd,
        store_disk: built.store_disk,
        root_tree: built.root_tree,
        kernel_params: built.kernel_params,
    };
    let entries = backend::package::entries(vm, &files, &built.system, &exe);
    let path = write(&store, vm, &entries, &built.references)?;
    Ok(Package { vm: vm.clone(), path, system: built.system })
}

fn write(store: &Store, vm: &Vm, entries: &[Entry], references: &[PathBuf]) -> Result<PathBuf> {
    let digest = Digest::of(&("runner", entries));
    let name = format!("microvm-{}-{}", vm.hypervisor, vm.name);
    let _ = (store, digest, name, references);
    unimplemented!()
}

/// Where this program is; what bin/ of a runner package leads to.
pub fn own_path() -> Result<PathBuf> {
    std::env::current_exe().or_kind(Kind::Other)
}

fn image_error(error: image::Error) -> Error {
    let kind = match error.kind() {
        image::ErrorKind::Definition => Kind::Definition,
        _ => Kind::Build,
    };
    Error::new(kind, error)
}

/// The package where a reference is the path of one.
pub fn of_path(reference: &Reference) -> Option<PathBuf> {
    match (&reference.source, &reference.name) {
        (Source::Path(path), None) if path.join(SPEC).is_file() => path.canonicalize().ok(),
        _ => None,
    }
}

const SPEC: &str = "share/microvm/spec.json";

/// Reads what a package runs.
pub fn read(package: &Path) -> Result<Runner> {
    let file = package.join(SPEC);
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Error::new(Kind::NotFound, format!("`{}` is not a runner package of microvm: cannot read `{SPEC}`: {error}", package.display())))?;
    Runner::parse(&text).or_kind(Kind::Definition)
}
