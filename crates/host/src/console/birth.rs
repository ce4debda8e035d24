//! Starts a keeper: by fork(2) alone, for a program that is started anew costs each VM's start a
//! millisecond.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::panic::AssertUnwindSafe;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use super::Kept;
use super::keeper;

/// Whose child a keeper is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// The hypervisor's, which does not mind.
    Child,
    /// Nobody's: what lies between the two ends at once.
    Orphan,
}

/// Leaves a keeper to itself. This process must have one thread, as whoever is about to become
/// another program has.
pub fn start(kept: Kept, birth: Birth) -> std::io::Result<()> {
    let Some(between) = divide()? else {
        if birth == Birth::Child {
            become_keeper(kept);
        }
        match divide() {
            Ok(None) => become_keeper(kept),
            Ok(Some(_)) => leave(0),
            Err(_) => leave(1),
        }
    };
    if birth == Birth::Orphan {
        let ended = waitpid(between, None)?;
        if !matches!(ended, nix::sys::wait::WaitStatus::Exited(_, 0)) {
            return Err(std::io::Error::other("it could not be left to itself"));
        }
    }
    Ok(())
}

/// The other process, where this is the one that goes on as it was.
#[expect(unsafe_code, reason = "fork has no safe wrapper")]
fn divide() -> std::io::Result<Option<nix::unistd::Pid>> {
    // SAFETY: one thread is all that this process has, so nothing is left locked or half-done.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Never returns into what the other process goes on with.
fn become_keeper(kept: Kept) -> ! {
    let keep = AssertUnwindSafe(|| {
        let _ = nix::sys::prctl::set_name(c"microvm-console");
        hold_nothing_else(&kept);
        keeper::run(kept)
    });
    // What a panic would say must not end up among the hypervisor's last words.
    std::panic::set_hook(Box::new(|_| ()));
    leave(std::panic::catch_unwind(keep).map_or(1, i32::from))
}

/// Gives up what is the hypervisor's: the lock of the VM above all, its terminal, its files; and
/// where it writes its errors.
fn hold_nothing_else(kept: &Kept) {
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stderr(&nowhere);
    }
    let mut own: Vec<i32> = std::iter::once(&kept.master)
        .chain(&kept.events)
        .map(AsRawFd::as_raw_fd)
        .collect();
    own.sort_unstable();
    let mut first = 3;
    for fd in own {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, i32::MAX);
}

#[expect(
    unsafe_code,
    reason = "the descriptors belong to values that this process never drops"
)]
fn close_range(first: i32, last: i32) {
    if first <= last {
        // SAFETY: their owners are in frames that are never returned to.
        unsafe { nix::libc::syscall(nix::libc::SYS_close_range, first, last, 0) };
    }
}

#[expect(
    unsafe_code,
    reason = "what was registered for the end is the other process's"
)]
fn leave(code: i32) -> ! {
    // SAFETY: ends this process at once.
    unsafe { nix::libc::_exit(code) }
}
