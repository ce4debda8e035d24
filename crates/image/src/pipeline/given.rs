//! Guests that were built elsewhere: nothing is made, the files are taken where they are.

use std::fs;
use std::path::{Path, PathBuf};

use spec::Vm;

use super::system::Parts;
use super::vmlinux;
use crate::error::{Error, io_at};
use crate::kernel::KernelFiles;

pub(super) fn find(vm: &Vm, store_disk: Option<&Path>) -> Result<Parts, Error> {
    let spec::vm::Kernel::Path(kernel) = &vm.boot.kernel else {
        return Err(Error::NotGiven { option: "kernel" });
    };
    if vm.boot.initrd.is_none() {
        return Err(Error::NotGiven {
            option: "initrdPath",
        });
    }
    Ok(Parts {
        name: "given".into(),
        kernel: KernelFiles::given(kernel)?,
        kernel_entry: None,
        root: None,
        given_disk: store_disk.map(Path::to_owned),
    })
}

/// The kernel as the VM's hypervisor boots it: the image that is given, or `out`, where it had to
/// be unpacked to.
pub fn kernel(vm: &Vm, out: &Path) -> Result<PathBuf, Error> {
    let spec::vm::Kernel::Path(given) = &vm.boot.kernel else {
        return Err(Error::NotGiven { option: "kernel" });
    };
    let image = KernelFiles::given(given)?.image;
    let Some(form) = vmlinux::wanted(vm, &image)? else {
        return Ok(image);
    };
    let kernel = vmlinux::unpacked(vm, &image, form)?;
    fs::write(out, kernel).map_err(io_at("write", out))?;
    Ok(out.to_owned())
}
