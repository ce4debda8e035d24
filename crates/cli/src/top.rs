//! The terminal view of all VMs. Three parts that do not wait for each other: a thread that looks
//! at the host, some that ask hypervisors, and the one that draws.

mod act;
mod ask;
mod columns;
mod draw;
mod figures;
mod json;
mod keys;
mod look;
mod row;
mod screen;
mod signals;
mod state;
mod view;
mod vms;

#[cfg(test)]
mod tests;

pub use json::print_one;
pub use look::Settings;
pub use view::show;
