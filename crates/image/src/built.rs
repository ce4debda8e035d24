//! What a build of a guest gives.

use std::path::PathBuf;

/// Store paths and files of one built guest; all absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    /// `None` where the root comes from a share.
    pub store_disk: Option<PathBuf>,
    /// The tree, where the root comes from a share.
    pub root_tree: Option<PathBuf>,
    pub kernel_params: Vec<String>,
    /// The store path that stands for the guest's system, for comparing versions.
    pub system: PathBuf,
    /// Store paths that must outlive the runner package.
    pub references: Vec<PathBuf>,
}
