//! Volumes and shares at their mount points, in the guest's root.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use guest_init::config::{BootConfig, Mount, What};
use nix::mount::MsFlags;

use crate::Result;
use crate::device;
use crate::mounting;
use crate::seed;

/// Where a volume is mounted while it is filled.
const ASIDE: &str = "/run/microvm/volume";

/// Mounts one volume or share.
pub fn mount(mount: &Mount, config: &BootConfig) -> Result<()> {
    let bound = Duration::from_secs(config.device_timeout_secs.into());
    let target = mount.mount_point.as_str();
    match &mount.what {
        What::Share { tag, proto } => mounting::share(tag, *proto, target, mount.read_only, bound),
        What::Disk { disk, fs_type } => {
            let path = device::wait_for(disk, bound)?;
            if mount.read_only || !mounting::holds_something(Path::new(target)) {
                return attach(&path, target, fs_type, mount.read_only);
            }
            attach(&path, ASIDE, fs_type, false)?;
            seed::fill_if_empty(Path::new(target), Path::new(ASIDE))?;
            mounting::move_to(ASIDE, target)
        }
    }
}

/// Mounts a disk; an ext file system with errors on record is repaired by the guest's own e2fsck.
pub fn attach(device: &str, target: &str, fs_type: &str, read_only: bool) -> Result<()> {
    if fs_type.starts_with("ext") && !read_only && has_errors(device) {
        println!("microvm: `{device}` has errors on record; checking it");
        if let Err(error) = Command::new("/sbin/e2fsck").args(["-p", device]).status() {
            println!("microvm: cannot run the guest's e2fsck: {error}");
        }
    }
    let flags = if read_only {
        MsFlags::MS_RDONLY
    } else {
        MsFlags::empty()
    };
    mounting::at(device, target, fs_type, flags, "").map_err(|(failure, _)| failure)
}

/// The error flag (2) of `s_state`, at 0x3a of an ext superblock, which begins at 1024. What is
/// only in the journal is the kernel's to replay.
fn has_errors(device: &str) -> bool {
    let mut state = [0; 2];
    File::open(device)
        .and_then(|disk| disk.read_exact_at(&mut state, 1024 + 0x3a))
        .is_ok()
        && u16::from_le_bytes(state) & 2 != 0
}
