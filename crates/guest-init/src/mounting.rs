//! mount(2), with errors that name what was mounted where.

use std::path::Path;
use std::time::{Duration, Instant};

use guest_init::config::ShareProto;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::Result;
use crate::failure::Failure;

/// Mounts /dev, /proc, /sys and /run as systemd expects them.
pub fn kernel_file_systems() -> Result<()> {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let sealed = safe | MsFlags::MS_NOEXEC;
    let all = [
        ("devtmpfs", "/dev", MsFlags::MS_NOSUID, "mode=0755"),
        ("proc", "/proc", sealed, ""),
        ("sysfs", "/sys", sealed, ""),
        ("tmpfs", "/run", safe, "mode=0755,size=20%"),
    ];
    for (fs_type, target, flags, data) in all {
        match at(fs_type, target, fs_type, flags, data) {
            // The kernel mounted it (DEVTMPFS_MOUNT).
            Err((_, Errno::EBUSY)) => {}
            done => done.map_err(|(failure, _)| failure)?,
        }
    }
    Ok(())
}

/// Mounts a file system on a directory that is made where it is absent.
pub fn at(
    source: &str,
    target: &str,
    fs_type: &str,
    flags: MsFlags,
    data: &str,
) -> std::result::Result<(), (Failure, Errno)> {
    let refuse = |errno: Errno, why: &dyn std::fmt::Display| {
        let message = format!("Cannot mount `{source}` ({fs_type}) at `{target}`: {why}");
        (Failure::new(message), errno)
    };
    std::fs::create_dir_all(target)
        .map_err(|error| refuse(Errno::from_raw(error.raw_os_error().unwrap_or(0)), &error))?;
    mount(Some(source), target, Some(fs_type), flags, Some(data))
        .map_err(|errno| refuse(errno, &errno))
}

/// Moves a mount.
pub fn move_to(from: &str, to: &str) -> Result<()> {
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::new(format!("Cannot move `{from}` to `{to}`: {why}"))
    };
    std::fs::create_dir_all(to).map_err(|error| cannot(&error))?;
    mount(Some(from), to, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(|errno| cannot(&errno))
}

/// Mounts a share as soon as its device is there, within a bound.
pub fn share(
    tag: &str,
    proto: ShareProto,
    target: &str,
    read_only: bool,
    bound: Duration,
) -> Result<()> {
    let flags = if read_only {
        MsFlags::MS_RDONLY
    } else {
        MsFlags::empty()
    };
    let data = match proto {
        // 512 KiB is the largest that virtio carries; 128 pages of it are the kernel's limit.
        ShareProto::NineP => "trans=virtio,version=9p2000.L,msize=507904",
        ShareProto::Virtiofs => "",
    };
    let start = Instant::now();
    loop {
        match at(tag, target, proto.fs_type(), flags, data) {
            Ok(()) => return Ok(()),
            // No device has this tag yet: 9p says ENOENT, virtiofs EINVAL.
            Err((_, Errno::ENOENT | Errno::EINVAL)) if start.elapsed() < bound => {
                std::thread::sleep(crate::device::POLL);
            }
            Err((failure, Errno::ENOENT | Errno::EINVAL)) => {
                let message = format!(
                    "No {} share `{tag}` after {} s",
                    proto.fs_type(),
                    bound.as_secs()
                );
                drop(failure);
                return Err(Failure::new(message));
            }
            Err((failure, _)) => return Err(failure),
        }
    }
}

/// Whether a directory is there and holds something beside `lost+found`.
pub fn holds_something(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found"))
    })
}
