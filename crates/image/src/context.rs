//! What a build needs beside the definition.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use spec::Vm;
use spec::vm::Arch;

use crate::error::Error;
use crate::progress::Progress;

/// Surroundings of a build.
pub struct BuildContext<'a> {
    /// For what can be had again: package lists, packages, digests of trees.
    pub cache_dir: PathBuf,
    /// A program that calls [`crate::hook::hook_main`] when [`crate::hook::ENV`] is set.
    pub hook_exe: PathBuf,
    /// Resolve anew instead of taking what the lock names.
    pub update: bool,
    pub progress: &'a dyn Progress,
    /// Set by a signal handler; the build then stops, cleans up and fails with
    /// [`Error::Interrupted`].
    pub interrupted: &'a AtomicBool,
    pub initrd: &'a dyn InitrdStep,
}

impl BuildContext<'_> {
    pub(crate) fn check_interrupted(&self) -> Result<(), Error> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// Makes initrds.
pub trait InitrdStep {
    /// Whether there are initrds for guests of this architecture.
    fn serves(&self, arch: Arch) -> bool;

    /// All that the initrd is made from, beside the modules: it is hashed into the store path.
    fn identity(&self, vm: &Vm) -> Vec<u8>;

    /// Writes the initrd to `out`. `modules` is a directory `lib/modules/RELEASE`, with
    /// `modules.dep`; there is none where a kernel came without.
    fn write(
        &self,
        vm: &Vm,
        modules: Option<&Path>,
        out: &Path,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}
