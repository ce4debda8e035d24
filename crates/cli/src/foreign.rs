//! Runner packages of other programs that have the same layout, such as MicroVM.nix's.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Kind};

/// Becomes `bin/microvm-run` of a package in a state directory; returns why that failed.
pub fn become_runner(package: &Path, state: &Path, extra: &[String]) -> Error {
    let program = package.join("bin/microvm-run");
    let error = Command::new(&program).args(extra).current_dir(state).exec();
    let message = format!(
        "Cannot run `{}` in `{}`: {error}",
        program.display(),
        state.display()
    );
    Error::new(Kind::Missing, message)
}
