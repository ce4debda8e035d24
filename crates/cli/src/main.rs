//! The `microvm` program: reads what it was called as, and hands over.

mod command;
mod convergence;
mod declared;
mod definition;
mod deployment;
mod difference;
mod doctor;
mod entry;
mod error;
mod flake;
mod fleet;
mod foreign;
mod git;
mod installation;
mod live;
mod log_objects;
mod nested;
mod networks;
mod package;
mod places;
mod progress;
mod reference;
mod registry;
mod runner;
mod running;
mod service;
mod session_key;
mod short;
mod term;
mod top;
mod verbs;
mod ways;

use std::process::ExitCode;

fn main() -> ExitCode {
    term::log_to_stderr();
    let result = match entry::Entry::of_this_process() {
        Some(entry) => entry.run(),
        None => command::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => error.print_and_code(),
    }
}
