//! Guests that were built elsewhere: nothing is made, the files are taken where they are.

use std::path::Path;

use spec::Vm;

use super::system::Parts;
use crate::error::Error;
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
