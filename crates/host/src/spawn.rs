//! What a child gets of our signals, and what of our end.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

/// Lets a child have all signals, though this process holds some back: a mask is inherited, and
/// `Command` (Rust 1.95) resets no more than SIGPIPE.
#[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
pub fn with_all_signals(command: &mut Command) {
    // SAFETY: setting a mask is one system call; nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(allow_all_signals);
    }
}

/// Has a program ignore SIGPIPE, as most hypervisors do of themselves. kvmtool does not, and a
/// client that leaves before it has its answer would kill the guest.
#[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
pub fn ignore_broken_pipes(command: &mut Command) {
    let hook = || {
        let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: ignoring a signal installs no handler.
        unsafe { nix::sys::signal::sigaction(Signal::SIGPIPE, &action) }?;
        Ok(())
    };
    // SAFETY: sigaction is one system call; nothing is allocated and no lock is taken. `Command`
    // resets SIGPIPE before it calls the hook.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Has this thread receive all signals.
pub fn allow_all_signals() -> std::io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Has a child killed when the thread that starts it ends, so that it does not outlive a parent
/// that was killed. A program with set-user-ID loses this.
#[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
pub fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let hook = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have ended before that.
        if nix::unistd::getppid() == parent {
            Ok(())
        } else {
            Err(std::io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: prctl and getppid are system calls; nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Has a child belong to no terminal, so that nothing ends it with who started it.
#[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
pub fn in_a_session_of_its_own(command: &mut Command) {
    let hook = || {
        nix::unistd::setsid()?;
        Ok(())
    };
    // SAFETY: setsid is one system call; nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(hook);
    }
}
