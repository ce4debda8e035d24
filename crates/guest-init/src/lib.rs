//! PID 1 of our initrd, and the configuration that an image hands to it.

pub mod config;
pub mod credentials;
