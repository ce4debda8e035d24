//! PID 1 of our initrd: what an image and a host hand to it.

pub mod config;
pub mod credentials;
