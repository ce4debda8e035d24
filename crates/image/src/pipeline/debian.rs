//! Guests made from Debian's packages.

use std::collections::BTreeSet;

use spec::Vm;
use spec::guest::Debian;

use super::kernel::{self, Kernel};
use super::root::{self, Recipe};
use super::system::Parts;
use crate::context::BuildContext;
use crate::customise;
use crate::debian::{
    Bootstrap, Flavour, Pool, bootstrap, debian_arch, guest_sources, lock_key, resolve, wanted,
};
use crate::error::Error;
use crate::foreign::require_runnable;
use crate::lock::{Entry, Lock, Package};
use crate::store::{Digest, Store};

pub(super) fn build(
    vm: &Vm,
    debian: &Debian,
    store: &Store,
    lock: &mut Lock,
    context: &BuildContext,
) -> Result<Parts, Error> {
    let entry = locked(vm, debian, lock, context)?;
    let source = Source {
        debian,
        entry: &entry,
        arch: debian_arch(vm.arch),
        context,
    };
    let kernel = match &vm.boot.kernel {
        spec::vm::Kernel::Path(path) => kernel::from_path(path, store, context)?,
        _ => source.kernel(store)?,
    };
    let digest = Digest::of("debian")
        .field("codename", &entry.codename)
        .field("arch", &entry.arch)
        .json("sources", &entry.sources)
        .json("requested", &entry.requested)
        .json("packages", &entry.packages)
        .field("kernel", &kernel.identity);
    let recipe = Recipe {
        name: &entry.codename,
        digest,
        kernel: &kernel,
        debian: Some(source.defaults()),
        make: &|work, instructions, contents, out| {
            let pool = source.pool()?;
            source.ensure(&pool, &entry.packages)?;
            source.ensure(&pool, &entry.kernel)?;
            let job = Bootstrap {
                entry: &entry,
                pool: &pool,
                work,
                instructions,
                contents,
                out,
            };
            bootstrap(job, context)
        },
    };
    let root = root::build(vm, recipe, store, context)?;
    Ok(Parts::new(kernel, root, &entry.codename))
}

/// The kernel alone, for a guest that comes from elsewhere.
pub(super) fn kernel(
    vm: &Vm,
    debian: &Debian,
    store: &Store,
    lock: &mut Lock,
    context: &BuildContext,
) -> Result<Kernel, Error> {
    let entry = locked(vm, debian, lock, context)?;
    let source = Source {
        debian,
        entry: &entry,
        arch: debian_arch(vm.arch),
        context,
    };
    source.kernel(store)
}

/// What the lock pins for a VM.
pub(super) fn pinned<'a>(vm: &Vm, debian: &Debian, lock: &'a Lock) -> Option<&'a Entry> {
    lock.get(&lock_key(debian, debian_arch(vm.arch), Flavour::of(vm)))
}

/// What the lock pins; resolved where it pins nothing yet, or where it is to be updated.
fn locked(
    vm: &Vm,
    debian: &Debian,
    lock: &mut Lock,
    context: &BuildContext,
) -> Result<Entry, Error> {
    let (arch, flavour) = (debian_arch(vm.arch), Flavour::of(vm));
    let key = lock_key(debian, arch, flavour);
    let known = match context.update {
        true => lock.get_fresh(&key),
        false => lock.get(&key),
    };
    if let Some(entry) = known {
        return Ok(entry.clone());
    }
    // Before anything is fetched: nothing of it was built yet.
    require_runnable(vm.arch, context.interrupted)?;
    let entry = resolve(debian, arch, flavour, context)?;
    lock.set(&key, entry.clone());
    Ok(entry)
}

struct Source<'a> {
    debian: &'a Debian,
    entry: &'a Entry,
    arch: &'static str,
    context: &'a BuildContext<'a>,
}

impl Source<'_> {
    fn pool(&self) -> Result<Pool, Error> {
        Pool::new(&self.context.cache_dir)
    }

    fn ensure(&self, pool: &Pool, packages: &[Package]) -> Result<(), Error> {
        pool.ensure(self.debian, self.arch, self.entry, packages, self.context)
    }

    /// The kernel as a store entry of its own, which VMs share.
    fn kernel(&self, store: &Store) -> Result<Kernel, Error> {
        let identity: Vec<String> = self.entry.kernel.iter().map(Package::to_string).collect();
        let identity = identity.join("\n");
        let mut names = self.entry.kernel.iter().map(|package| &*package.name);
        let name = names
            .find(|name| name.starts_with("linux-image-"))
            .unwrap_or("linux");
        kernel::install(name, identity, store, self.context, &|scratch| {
            let pool = self.pool()?;
            self.ensure(&pool, &self.entry.kernel)?;
            for package in &self.entry.kernel {
                crate::kernel::unpack(&pool.path(package), scratch, self.context.interrupted)?;
            }
            crate::kernel::KernelFiles::find(scratch)
        })
    }

    fn defaults(&self) -> customise::Debian {
        let wanted: BTreeSet<&str> = wanted(self.debian);
        let automatic = |package: &&Package| !wanted.contains(package.name.as_str());
        customise::Debian {
            sources: guest_sources(&self.entry.sources),
            automatic: self
                .entry
                .packages
                .iter()
                .filter(automatic)
                .map(|package| (package.name.clone(), self.entry.arch.clone()))
                .collect(),
        }
    }
}
