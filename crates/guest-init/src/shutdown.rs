//! `/run/initramfs/shutdown`, to which systemd goes back as its last step (systemd-shutdown(8),
//! bootup(7)), with the old root at /oldroot. Where the overlay's writes go to a volume, systemd
//! cannot unmount that volume, because the root itself uses it: we can. Where the hypervisor ends
//! only after a power-off, or only after a reset, we give it that, whatever was asked for.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use guest_init::config::Leave;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::Result;
use crate::failure::Failure;
use crate::leave;

const DIRECTORY: &str = "/run/initramfs";
/// Where systemd-shutdown looks.
pub const PROGRAM: &str = "/run/initramfs/shutdown";
const OLD_ROOT: &str = "/oldroot";
/// How the VM ends: in [`DIRECTORY`], which is the root when we are called.
const LEAVE: &str = "leave";

/// Whether systemd-shutdown started this process.
pub fn is_asked_for() -> bool {
    std::env::args()
        .next()
        .is_some_and(|name| name.ends_with("/shutdown"))
}

/// Leaves a copy of this program where systemd-shutdown looks for it.
pub fn install(leave: Leave) -> Result<()> {
    let cannot =
        |error: std::io::Error| Failure::new(format!("Cannot install `{PROGRAM}`: {error}"));
    std::fs::create_dir_all(DIRECTORY).map_err(cannot)?;
    std::fs::write(Path::new(DIRECTORY).join(LEAVE), leave.as_str()).map_err(cannot)?;
    std::fs::copy("/proc/self/exe", PROGRAM).map_err(cannot)?;
    std::fs::set_permissions(PROGRAM, std::fs::Permissions::from_mode(0o755)).map_err(cannot)
}

/// What [`install`] wrote, for a guest that runs.
pub fn how_to_leave() -> Leave {
    let leave = std::fs::read_to_string(Path::new(DIRECTORY).join(LEAVE)).unwrap_or_default();
    Leave::parse(&leave).unwrap_or_default()
}

/// Unmounts the old root with all below it, and does what systemd was asked to do.
pub fn run() -> ! {
    // More than once: a mount may be busy until what is over it has gone.
    for _ in 0..8 {
        let left = mounts_of_old_root();
        if left.is_empty() {
            break;
        }
        for target in &left {
            if umount2(Path::new(target), MntFlags::empty()).is_err() {
                let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                let _ = mount(
                    None::<&str>,
                    Path::new(target),
                    None::<&str>,
                    read_only,
                    None::<&str>,
                );
            }
        }
    }
    for target in mounts_of_old_root() {
        println!("microvm: `{target}` could not be unmounted");
    }
    let leave = std::fs::read_to_string(Path::new("/").join(LEAVE)).unwrap_or_default();
    let verb = std::env::args().nth(1).unwrap_or_default();
    leave::now(&verb, Leave::parse(&leave).unwrap_or_default());
}

/// Deepest first.
fn mounts_of_old_root() -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(unescape);
    let mut below: Vec<String> = targets
        .filter(|target| target == OLD_ROOT || target.starts_with("/oldroot/"))
        .collect();
    below.reverse();
    below
}

/// `/proc/self/mounts` writes white space and backslashes as `\ooo`.
fn unescape(target: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .into_iter()
    .fold(target.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}
