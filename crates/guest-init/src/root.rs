//! The guest's root: store disk or share below, an overlay above.

use std::path::Path;
use std::time::Duration;

use guest_init::config::{BootConfig, Leave, Mount, Overlay, Root, What};
use nix::mount::MsFlags;

use crate::Result;
use crate::device;
use crate::failure::Failure;
use crate::mounting;

/// Where the root is mounted until it is the root.
pub const NEW_ROOT: &str = "/newroot";
const LOWER: &str = "/lower";
const UPPER: &str = "/upper";

/// Where writes go, mounted.
pub enum Mounted {
    Tmpfs,
    /// A volume that is also visible at this place of the guest.
    Volume {
        mount_point: String,
    },
}

impl Mounted {
    /// Whether it outlives the boot.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Volume { .. })
    }

    /// Whether this mount point is served already.
    pub fn holds(&self, mount_point: &str) -> bool {
        matches!(self, Self::Volume { mount_point: own } if own == mount_point)
    }
}

/// Mounts the root at [`NEW_ROOT`].
pub fn mount(config: &BootConfig) -> Result<Mounted> {
    let bound = Duration::from_secs(config.device_timeout_secs.into());
    match &config.root {
        Root::Disk { disk, fs_type } => {
            let path = device::wait_for(disk, bound)?;
            mounting::at(&path, LOWER, fs_type, MsFlags::MS_RDONLY, "")
                .map_err(|(failure, _)| failure)?;
        }
        Root::Share { tag, proto } => mounting::share(tag, *proto, LOWER, true, bound)?,
    }
    let mounted = mount_upper(config, bound)?;
    let (upper, work) = (format!("{UPPER}/store"), format!("{UPPER}/work"));
    for directory in [&upper, &work] {
        std::fs::create_dir_all(directory)
            .map_err(|error| Failure::new(format!("Cannot create `{directory}`: {error}")))?;
    }
    let data = format!("lowerdir={LOWER},upperdir={upper},workdir={work}");
    mounting::at("overlay", NEW_ROOT, "overlay", MsFlags::empty(), &data)
        .map_err(|(failure, _)| failure)?;
    Ok(mounted)
}

fn mount_upper(config: &BootConfig, bound: Duration) -> Result<Mounted> {
    let tmpfs = || {
        mounting::at(
            "tmpfs",
            UPPER,
            "tmpfs",
            MsFlags::empty(),
            "mode=0755,size=50%",
        )
    };
    let Overlay::At(path) = &config.overlay else {
        tmpfs().map_err(|(failure, _)| failure)?;
        return Ok(Mounted::Tmpfs);
    };
    let volume = config
        .mounts
        .iter()
        .find(|mount| mount.mount_point == *path);
    let Some(Mount {
        what: What::Disk { disk, fs_type },
        ..
    }) = volume
    else {
        return Err(Failure::new(format!(
            "No volume is mounted at `{path}`, where the overlay's writes go"
        )));
    };
    crate::volume::attach(&device::wait_for(disk, bound)?, UPPER, fs_type, false)?;
    Ok(Mounted::Volume {
        mount_point: path.clone(),
    })
}

/// Makes [`NEW_ROOT`] the root; what the initrd held is freed.
pub fn switch(overlay: &Mounted, config: &BootConfig) -> Result<()> {
    let on_volume = matches!(overlay, Mounted::Volume { .. });
    if on_volume
        || config.leave != Leave::AsAsked
        || config.agent.is_some()
        || config.may_have_entry
        || config.commands.is_some()
    {
        crate::shutdown::install(config.leave)?;
    }
    if let Mounted::Volume { mount_point } = overlay {
        mounting::move_to(UPPER, &format!("{NEW_ROOT}{mount_point}"))?;
    }
    for directory in ["/dev", "/proc", "/sys", "/run"] {
        mounting::move_to(directory, &format!("{NEW_ROOT}{directory}"))?;
    }
    for leftover in ["/init", guest_init::config::FILE] {
        let _ = std::fs::remove_file(leftover);
    }
    let _ = std::fs::remove_dir_all("/modules");
    let cannot =
        |errno: nix::Error| Failure::new(format!("Cannot switch to the guest's root: {errno}"));
    nix::unistd::chdir(Path::new(NEW_ROOT)).map_err(cannot)?;
    nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(cannot)?;
    nix::unistd::chroot(".").map_err(cannot)?;
    nix::unistd::chdir("/").map_err(cannot)
}
