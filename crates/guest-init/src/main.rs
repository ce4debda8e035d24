//! PID 1 of the initrd: loads modules, mounts the guest's root, volumes and shares, and becomes
//! the guest's own init. As `/shutdown` of `/run/initramfs` it unmounts what systemd could not.
//!
//! Starts no service and stays for none.

mod device;
mod failure;
mod files;
mod kernel;
mod mounting;
mod root;
mod seed;
mod shutdown;
mod volume;

use guest_init::config::{BootConfig, FILE};

use crate::failure::Failure;

type Result<T> = std::result::Result<T, Failure>;

fn main() {
    if shutdown::is_asked_for() {
        shutdown::run();
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
    kernel::load_modules(&config.modules)?;
    let overlay = root::mount(&config)?;
    root::switch(&overlay)?;
    files::write_names(&config.hostname)?;
    for mount in &config.mounts {
        if !overlay.holds(&mount.mount_point) {
            volume::mount(mount, &config)?;
        }
    }
    kernel::become_init(&config.init)
}
