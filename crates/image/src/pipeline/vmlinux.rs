//! The kernel in the form that the VM's hypervisor boots, as a store entry where it has to be
//! unpacked for that.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::KernelFormat;

use super::system::Parts;
use crate::context::BuildContext;
use crate::directory::content_digest;
use crate::error::{Error, io_at};
use crate::progress::Phase;
use crate::store::{Digest, Seal, Store};
use crate::vmlinux::{Form, HEADER, unpack};

/// Path of the image; a store entry where it is not the one that was given.
pub(super) fn build(
    vm: &Vm,
    parts: &Parts,
    store: &Store,
    context: &BuildContext,
) -> Result<PathBuf, Error> {
    let image = &parts.kernel.image;
    let Some(form) = wanted(vm, image)? else {
        return Ok(image.clone());
    };
    let digest = Digest::of("vmlinux")
        .field("form", form.as_str())
        .field("from", identity(parts, context)?)
        .finish();
    store.add(
        form.as_str(),
        &digest,
        &[],
        context.interrupted,
        |staging| {
            context.progress.start(Phase::Unpack, "kernel");
            let kernel = unpacked(vm, image, form)?;
            let out = staging.out();
            fs::write(&out, kernel).map_err(io_at("write", &out))?;
            Ok(Seal::ReadOnly)
        },
    )
}

/// The form that an image has to be unpacked to; `None` where it is as its hypervisor wants it.
pub(super) fn wanted(vm: &Vm, image: &Path) -> Result<Option<Form>, Error> {
    let form = match vm.hypervisor.kernel_format(vm.arch) {
        KernelFormat::BzImage => return Ok(None),
        KernelFormat::Elf => Form::Elf,
        KernelFormat::Image => Form::Image,
    };
    let is = form.is(&head(image).map_err(io_at("read", image))?);
    Ok((!is).then_some(form))
}

/// The kernel that is packed in an image.
pub(super) fn unpacked(vm: &Vm, image: &Path, form: Form) -> Result<Vec<u8>, Error> {
    let packed = fs::read(image).map_err(io_at("read", image))?;
    unpack(form, &packed).map_err(|source| Error::Vmlinux {
        path: image.to_owned(),
        hypervisor: vm.hypervisor,
        arch: vm.arch,
        source,
    })
}

/// Name of the entry that the kernel is from, which stands for its content; else its content.
fn identity(parts: &Parts, context: &BuildContext) -> Result<String, Error> {
    let entry = parts
        .kernel_entry
        .as_ref()
        .and_then(|entry| entry.file_name());
    match entry {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => content_digest(&parts.kernel.image, context),
    }
}

fn head(image: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(image)?
        .take(HEADER as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}
