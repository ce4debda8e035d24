//! Changes the machine, which no other crate does: starts and stops hypervisors, makes volumes,
//! serves shares, sets up interfaces. It decides nothing about a VM: that came in as a plan.

pub mod alioth;
pub mod console;
pub mod control;
mod credentials;
mod empty;
pub mod exec;
pub mod fleet;
pub mod guest_exec;
pub mod kind;
pub mod lock;
pub mod macvtap;
mod memory;
mod netlink;
pub mod network;
pub mod pci;
pub mod ports;
pub mod probe;
pub mod process;
pub mod program;
pub mod qmp;
pub mod relay;
pub mod rest;
pub mod sample;
pub mod service;
pub mod socket;
mod spawn;
pub mod supervise;
pub mod tap;
pub mod user;
pub mod virtiofs;
pub mod volume;
pub mod vsock;

pub use kind::Kind;
