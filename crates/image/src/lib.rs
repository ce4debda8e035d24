//! Builds what a guest boots from: kernel, initrd and store disk.
//!
//! Writes only its own output directories; never the machine's configuration.

pub mod built;
