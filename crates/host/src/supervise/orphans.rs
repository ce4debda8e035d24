//! Processes that the hypervisor leaves behind: the keeper of its console, above all, which has
//! its last words to pass on.

use std::time::{Duration, Instant};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::console::ENDED_AT_CONSOLE;

/// Longest that they have to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Has what children of ours leave come to us.
pub fn adopt() {
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::debug!("orphans cannot be adopted: {error}");
    }
}

/// Waits for them, within a bound, when no child of ours is left; says whether a person at the
/// console asked for the end.
pub fn wait() -> bool {
    const STEP: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + PATIENCE;
    let mut asked = false;
    while Instant::now() < deadline {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => asked |= code == i32::from(ENDED_AT_CONSOLE),
            Ok(WaitStatus::StillAlive) => std::thread::sleep(STEP),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    asked
}
