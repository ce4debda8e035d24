//! Turns a checked [`spec::Vm`] into what one hypervisor is started with: data, never effects.
//!
//! Pure: it opens no file, runs no program and asks no host. What it must know of the host comes
//! in as [`plan::HostFacts`].

pub mod accel;
mod alioth;
mod args;
mod backends;
mod before;
mod cloud_hypervisor;
mod command_line;
pub mod control;
mod crosvm;
pub mod features;
mod firecracker;
mod host_reasons;
mod kvmtool;
pub mod package;
pub mod plan;
mod qemu;
pub mod qmp;
pub mod refused;
pub mod repeats;
pub mod root_share;
mod stratovirt;
pub mod version;
mod vfkit;
