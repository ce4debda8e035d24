//! PID 1 of the initrd: loads modules, mounts the guest's root, volumes and shares, and becomes the
//! guest's own init. As `/shutdown` of `/run/initramfs` it unmounts what systemd could not, and
//! leaves the VM as its hypervisor needs it. As `microvm-agent` it waits to be asked for a
//! power-off, where the hypervisor cannot ask or the guest would not hear. As `microvm-exec` it runs
//! commands for the host. In a guest that has no init, as most made from a container image, it
//! stays as `microvm-init`.
//!
//! Starts no other service.

mod agent;
mod button;
mod commands;
mod container;
mod credential;
mod device;
mod failure;
mod files;
mod handover;
mod kernel;
mod leave;
mod mounting;
mod network;
mod root;
mod seed;
mod shutdown;
mod volume;

use std::path::Path;
use std::time::Duration;

use guest_init::config::{Agent, BootConfig, FILE};

use crate::failure::Failure;

type Result<T> = std::result::Result<T, Failure>;

fn main() {
    if shutdown::is_asked_for() {
        shutdown::run();
    }
    if agent::is_asked_for() {
        agent::run();
    }
    if commands::is_asked_for() {
        commands::run();
    }
    if container::is_asked_for() {
        container::run();
    }
    std::panic::set_hook(Box::new(|panic| {
        failure::end(&Failure::new(format!("Panic: {panic}")))
    }));
    let Err(failure) = boot();
    failure::end(&failure);
}

/// Does not return but for a failure.
fn boot() -> Result<std::convert::Infallible> {
    mounting::kernel_file_systems()?;
    let text = std::fs::read_to_string(FILE)
        .map_err(|error| Failure::new(format!("Cannot read `{FILE}`: {error}")))?;
    let config = BootConfig::parse(&text).map_err(|error| Failure::new(error.to_string()))?;
    leave::remember(config.leave);
    kernel::load_modules(&config.modules)?;
    let overlay = root::mount(&config)?;
    root::switch(&overlay, &config)?;
    files::write_names(&config.hostname)?;
    for mount in &config.mounts {
        if !overlay.holds(&mount.mount_point) {
            volume::mount(mount, &config)?;
        }
    }
    let variables = match &config.credentials {
        Some(disk) => {
            let bound = Duration::from_secs(config.device_timeout_secs.into());
            credential::hand_over(disk, bound)?
        }
        None => Vec::new(),
    };
    let has_entry = config.may_have_entry && container::is_needed();
    if let Some(agent) = &config.agent
        && !(*agent == Agent::Button && (has_entry || handover::sees_the_button(&config.init)))
    {
        agent::start(agent);
    }
    if let Some(commands) = config.commands {
        commands::start(commands);
    }
    if has_entry {
        return container::become_it();
    }
    handover::prepare(Path::new("/"), &config.init, overlay.is_kept());
    kernel::become_init(&config.init, variables)
}
