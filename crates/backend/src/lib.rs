//! Turns a checked [`spec::Vm`] into what one hypervisor is started with: data, never effects.
//!
//! Pure: it opens no file, runs no program and asks no host. What it must know of the host comes
//! in as [`plan::HostFacts`].

pub mod plan;
