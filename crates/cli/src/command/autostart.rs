//! `microvm autostart`: whether a VM starts with the host.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::service;
use crate::verbs::say;

/// Have a VM start with the host, or no longer
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM
    name: String,

    #[arg(value_enum)]
    switch: Switch,

    #[command(flatten)]
    state: StateDir,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let fleet = self.state.open()?;
        fleet::member(&fleet, &name)?;
        let on = self.switch == Switch::On;
        service::set_autostart(&fleet, &name, on)?;
        say(match on {
            true => format!("`{name}` starts with the host"),
            false => format!("`{name}` does not start with the host"),
        });
        if on && !service::starts_with_the_host(&fleet) {
            eprintln!(
                "hint: have the host call `microvm start --autostart` when it starts: no systemd does"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
