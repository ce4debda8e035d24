//! Builds what a guest boots from: kernel, initrd and store disk.
//!
//! Writes only its own output directories; never the machine's configuration.

pub mod built;
pub mod closure;
mod context;
mod customise;
mod debian;
mod directory;
mod disk;
pub mod error;
mod foreign;
pub mod hook;
pub mod initrd;
mod kernel;
pub mod lock;
mod oci;
mod pipeline;
mod process;
pub mod progress;
pub mod store;
mod user;
pub mod vmlinux;
mod workdir;

pub use built::Built;
pub use context::{BuildContext, InitrdStep};
pub use error::{Error, Kind};
pub use lock::Lock;
pub use pipeline::{build, given_kernel, pinned};
pub use progress::{Phase, Progress, Silent};
pub use store::Store;
