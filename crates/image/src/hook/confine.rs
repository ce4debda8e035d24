//! Threads that see only the guest's tree.
//!
//! Without proc and sys below the tree no link in it leads out; for the guest's own programs
//! they stay mounted, and such programs are trusted as their packages are.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};

use crate::error::{Error, io_at};

/// Runs `work` where `root` is the root directory and nothing is mounted below it.
pub(super) fn confined<T: Send>(
    root: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    in_thread(CloneFlags::CLONE_NEWNS, root, || {
        unmount_below(root)?;
        enter(root)?;
        work()
    })
}

/// Runs `work` where `root` is the root directory, with what is mounted below it.
pub(super) fn chrooted<T: Send>(
    root: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    in_thread(CloneFlags::CLONE_FS, root, || {
        enter(root)?;
        work()
    })
}

/// Runs `work` where nothing is mounted below `root`.
pub(super) fn bare<T: Send>(
    root: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    in_thread(CloneFlags::CLONE_NEWNS, root, || {
        unmount_below(root)?;
        work()
    })
}

/// Root directory and mounts belong to the thread once it has unshared them.
fn in_thread<T: Send>(
    flags: CloneFlags,
    root: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(flags).map_err(|errno| io_at("confine to", root)(errno.into()))?;
            work()
        });
        thread.join().expect("work returns its errors")
    })
}

fn enter(root: &Path) -> Result<(), Error> {
    chroot(root)
        .and_then(|()| chdir("/"))
        .map_err(|errno| io_at("enter", root)(errno.into()))
}

fn unmount_below(root: &Path) -> Result<(), Error> {
    let none: Option<&str> = None;
    // Otherwise the mounts vanish for everybody.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|errno| io_at("make mounts private below", Path::new("/"))(errno.into()))?;
    let points = mounts_below(root)?;
    // Those inside go with the outer one; alone the kernel refuses where it came from another
    // user namespace, as below the host's /sys.
    let is_outer = |point: &&PathBuf| {
        let inside = |other: &PathBuf| point != &other && point.starts_with(other);
        !points.iter().any(inside)
    };
    for point in points.iter().rev().filter(is_outer) {
        umount2(point, MntFlags::MNT_DETACH)
            .map_err(|errno| io_at("unmount", point)(errno.into()))?;
    }
    Ok(())
}

/// Mount points below `root`, in the order in which they were mounted.
fn mounts_below(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = Path::new("/proc/thread-self/mountinfo");
    let text = fs::read_to_string(table).map_err(io_at("read", table))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point != root && point.starts_with(root))
        .collect())
}

/// The kernel writes white space and backslashes as `\040`.
fn unescape(text: &str) -> String {
    let mut plain = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        let digits = bytes.by_ref().take(3);
        plain.push(digits.fold(0u8, |value, digit| {
            value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0'))
        }));
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
    }
}
