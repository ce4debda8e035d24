//! Prints figures, each with what it is compared with in the same run; see `docs/testing.md`.
//!
//! Judges nothing: a figure is for reading.

mod boot;
mod commands;
mod disk;
mod services;
mod stand_in;
mod table;

use harness::{Fleet, Outcome};
use table::Table;

const TEXT: &str = include_str!("bench.toml");

fn main() -> Outcome {
    if let Some(code) = stand_in::answer() {
        std::process::exit(code);
    }
    let place = harness::fleet::kept_directory().join("stand-in");
    let text = format!("{TEXT}{}", services::definitions())
        .replace("@stand-in@", &place.display().to_string())
        .replace("@time@", &stand_in::now().as_nanos().to_string());
    let fleet = Fleet::new(&text)?;
    let mut table = Table::default();
    commands::unchanged_build(&fleet, &mut table)?;
    commands::until_exec(&fleet, &place, &mut table)?;
    commands::check_thousand(&fleet, &mut table)?;
    services::many(&fleet, &mut table)?;
    services::running(&fleet, &mut table)?;
    disk::store_disk(&fleet, &mut table)?;
    commands::sizes(&fleet, &mut table)?;
    boot::to_ssh_banner(&fleet, &mut table)?;
    table.print();
    Ok(())
}
