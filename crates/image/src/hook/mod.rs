//! The part of a build that runs where the guest's files belong to the guest's users: as
//! mmdebstrap's hook, or in a user namespace of our own.
//!
//! The program is started again with [`ENV`] set. Instructions, contents and result pass through
//! inherited descriptors, which are opened anew through `/proc/self/fd`: the files may lie in
//! directories that only the outer user can enter, and need no names that others could guess.

mod confine;
mod instructions;
mod overlay;
mod report;
mod work;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) use instructions::{Handover, Instructions, Output};
pub(crate) use overlay::Overlay;
pub(crate) use report::Listener;
use report::Report;

use crate::error::{Error, io_at};

/// Environment variable that makes a program be the hook: numbers of three descriptors.
pub const ENV: &str = "MICROVM_IMAGE_HOOK";

/// Carries out what [`ENV`] points at; `root` is the tree (mmdebstrap's first argument).
pub fn hook_main(root: &Path) -> ExitCode {
    match read_instructions()
        .and_then(|(instructions, fds)| work::carry_out(root, &instructions, &fds))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", Report::failure(&error));
            ExitCode::FAILURE
        }
    }
}

/// What the hook was handed.
struct Inherited {
    contents: File,
    /// Opens the result.
    out: PathBuf,
}

fn read_instructions() -> Result<(Instructions, Inherited), Error> {
    let text = std::env::var(ENV).unwrap_or_default();
    let paths: Vec<PathBuf> = text
        .split(',')
        .filter_map(|fd| fd.parse::<u32>().ok())
        .map(|fd| PathBuf::from(format!("/proc/self/fd/{fd}")))
        .collect();
    let [instructions, contents, out] = <[PathBuf; 3]>::try_from(paths)
        .map_err(|_| Error::Guest(format!("`{ENV}` is set for the build's own use")))?;
    let json = fs::read(&instructions).map_err(io_at("read", &instructions))?;
    let parsed = serde_json::from_slice(&json)
        .map_err(|error| Error::Guest(format!("Instructions of the build: {error}")))?;
    let contents = File::open(&contents).map_err(io_at("read", &contents))?;
    Ok((parsed, Inherited { contents, out }))
}
