//! Modules, and the hand-over.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use crate::Result;
use crate::failure::Failure;

const MODULES: &str = "/modules";

/// Loads files of `/modules`, in this order; one that is there already is passed over.
pub fn load_modules(files: &[String]) -> Result<()> {
    for file in files {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(format!("Cannot load the kernel module `{file}`: {error}"))
        };
        let module = File::open(Path::new(MODULES).join(file)).map_err(|error| cannot(&error))?;
        match finit_module(&module, c"", ModuleInitFlags::empty()) {
            // ENODEV: the driver found no device that it could serve, and says so by leaving.
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => {}
            Err(errno) => return Err(cannot(&errno)),
        }
    }
    Ok(())
}

/// Becomes the guest's init, with the arguments that the kernel gave us.
pub fn become_init(init: &str) -> Result<std::convert::Infallible> {
    let path = CString::new(init).map_err(|_| Failure::new(format!("`{init}` is no path")))?;
    let mut arguments = vec![path.clone()];
    arguments.extend(
        std::env::args()
            .skip(1)
            .filter_map(|argument| CString::new(argument).ok()),
    );
    nix::unistd::execv(&path, &arguments)
        .map_err(|errno| Failure::new(format!("Cannot start the guest's init `{init}`: {errno}")))
}
