//! The entries of a runner package's bin/: this program, called by another name.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::{Error, Kind, OrKind, Result};
use crate::package;
use crate::places::Places;

/// What this process was called as, where that is not `microvm`.
pub enum Entry {
    /// One of bin/, with its runner package.
    Runner { verb: Verb, package: PathBuf },
    /// mmdebstrap's hook, in the image's name space.
    ImageHook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Run,
    Shutdown,
    Balloon,
    TapUp,
    TapDown,
    MacvtapUp,
    MacvtapDown,
    VirtiofsdRun,
}

impl Verb {
    fn named(name: &OsStr) -> Option<Self> {
        Some(match name.to_str()? {
            "microvm-run" => Self::Run,
            "microvm-shutdown" => Self::Shutdown,
            "microvm-balloon" => Self::Balloon,
            "tap-up" => Self::TapUp,
            "tap-down" => Self::TapDown,
            "macvtap-up" => Self::MacvtapUp,
            "macvtap-down" => Self::MacvtapDown,
            "virtiofsd-run" => Self::VirtiofsdRun,
            _ => return None,
        })
    }
}

impl Entry {
    /// `None` where the program was called as itself.
    pub fn of_this_process() -> Option<Self> {
        let called = called_as()?;
        let name = called.file_name()?;
        if name == image::HOOK_NAME {
            return Some(Self::ImageHook);
        }
        let verb = Verb::named(name)?;
        Some(Self::Runner { verb, package: package_of(&called)? })
    }

    pub fn run(self) -> Result<ExitCode> {
        let _ = self;
        unimplemented!()
    }
}

/// The path that was executed: from the kernel, for argv[0] is whatever the caller wrote there.
fn called_as() -> Option<PathBuf> {
    #[expect(unsafe_code, reason = "the kernel's string outlives the process' code; std does not give it")]
    let executed = unsafe {
        let pointer = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        (!pointer.is_null()).then(|| CStr::from_ptr(pointer).to_bytes())
    };
    match executed {
        Some(path) => Some(PathBuf::from(OsStr::from_bytes(path))),
        None => std::env::args_os().next().map(PathBuf::from),
    }
}

/// Follows links one at a time until the directory above is a runner package.
fn package_of(called: &Path) -> Option<PathBuf> {
    let mut path = std::path::absolute(called).ok()?;
    for _ in 0..40 {
        let directory = path.parent()?.canonicalize().ok()?;
        let package = directory.parent()?;
        if package.join(package::SPEC).is_file() {
            return Some(package.to_owned());
        }
        let target = std::fs::read_link(&path).ok()?;
        path = directory.join(target);
    }
    None
}
