//! Does nothing but be the hook of a build.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = std::env::args_os().nth(1).map(PathBuf::from);
    image::hook::hook_main(&root.unwrap_or_default())
}
