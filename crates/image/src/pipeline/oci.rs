//! Guests made from container images, which bring no kernel: it is Debian's.

use spec::Vm;
use spec::guest::{Debian, Oci, OciImage};

use super::directory::run_hook;
use super::root::{self, Recipe};
use super::system::Parts;
use super::{debian, kernel};
use crate::context::BuildContext;
use crate::customise::Container;
use crate::error::Error;
use crate::lock::{Lock, OciEntry};
use crate::oci::{Source, cached, unpack};
use crate::store::{Digest, Store};

pub(super) fn build(
    vm: &Vm,
    oci: &Oci,
    store: &Store,
    lock: &mut Lock,
    context: &BuildContext,
) -> Result<Parts, Error> {
    let source = Source::new(oci, vm.arch, context);
    let image = match &oci.image {
        OciImage::Registry(name) => locked(vm, oci, name, &source, lock, context)?.digest,
        OciImage::Local { .. } => source.local_digest()?,
    };
    let mut kernel = match &vm.boot.kernel {
        spec::vm::Kernel::Path(path) => kernel::from_path(path, store, context)?,
        _ => debian::kernel(vm, &stable(), store, lock, context)?,
    };
    kernel.of_guest = false;
    let digest = Digest::of("oci")
        .field("image", &image)
        .json("arch", &vm.arch)
        .json("init", &oci.init)
        .field("kernel", &kernel.identity);
    let recipe = Recipe {
        name: "oci",
        digest,
        kernel: &kernel,
        debian: None,
        make: &|work, mut instructions, contents, out| {
            let layout = match &oci.image {
                OciImage::Registry(_) => cached(&image, context, |to| source.fetch(&image, to))?,
                OciImage::Local { .. } => {
                    let layout = work.private().join("layout");
                    source.fetch(&image, &layout)?;
                    layout
                }
            };
            let config = crate::oci::Config::read(&layout)?;
            instructions.container = Some(Container::new(config, oci.init));
            let tree = unpack(&layout, &work.private().join("bundle"), context)?;
            run_hook(&tree, work, instructions, contents, out, context)
        },
    };
    let root = root::build(vm, recipe, store, context)?;
    Ok(Parts::new(kernel, root, "oci"))
}

/// Whose kernel it is, by default: a plain Debian guest has the same.
fn stable() -> Debian {
    Debian {
        suite: "stable".into(),
        packages: Vec::new(),
        mirror: None,
    }
}

fn locked(
    vm: &Vm,
    oci: &Oci,
    name: &str,
    source: &Source,
    lock: &mut Lock,
    context: &BuildContext,
) -> Result<OciEntry, Error> {
    let key = Source::lock_key(oci, vm.arch).expect("an image of a registry has a key");
    if let Some(entry) = lock.oci(&key, context.update) {
        return Ok(entry.clone());
    }
    let entry = source.resolve(name)?;
    lock.set_oci(&key, entry.clone());
    Ok(entry)
}
