//! What a virtual machine is: its options, their types and defaults, and the checks that every
//! definition meets before anything is built.
//!
//! Pure: it opens no file, reads no clock and asks no host.

pub mod agent;
mod build;
mod checks;
pub mod credentials;
pub mod guest;
pub mod names;
pub mod options;
mod place;
mod problem;
pub mod read;
mod schema;
mod tree;
pub mod vm;

pub use schema::schema;
pub use vm::Vm;
