//! What no option says alone: limits, options that need or exclude each other, duplicates.
//!
//! It reads the written values, so that it can speak of a VM that has other problems as well.

mod fleet;
mod guest;
mod machine;
mod network;
mod paths;
mod shares;
mod unique;
mod volumes;

pub use fleet::fleet;
pub use machine::pci_address;

use crate::problem::Problem;
use crate::read::Definition;

/// Everything that is wrong with the sense of one VM.
pub fn vm(vm: &Definition<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    machine::check(vm, &mut problems);
    volumes::check(vm, &mut problems);
    paths::check(vm, &mut problems);
    shares::check(vm, &mut problems);
    network::check(vm, &mut problems);
    guest::check(vm, &mut problems);
    problems
}
