//! Builds what a guest boots from: kernel, initrd and store disk.
//!
//! Writes only its own output directories; never the machine's configuration.

pub mod built;
pub mod error;
pub mod lock;
pub(crate) mod process;
pub mod progress;
pub mod store;

pub use error::{Error, Kind};
