//! PID 1 of our initrd: what an image and a host hand to it.

pub mod config;
pub mod credentials;
pub mod entry;
pub mod exec;
mod words;
