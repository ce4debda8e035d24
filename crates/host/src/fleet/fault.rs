//! Places where a test kills the program. In a release build there is none.

/// The variable that says at which place, counted from 1, the process is killed.
#[cfg(any(test, debug_assertions))]
const VARIABLE: &str = "MICROVM_FAULT";

/// A step of a change is done; the next is not.
#[cfg(any(test, debug_assertions))]
pub fn point() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Some(wanted) = std::env::var_os(VARIABLE) else {
        return;
    };
    let passed = PASSED.fetch_add(1, Ordering::Relaxed) + 1;
    if wanted == *passed.to_string() {
        let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
        unreachable!("nothing survives this signal");
    }
}

#[cfg(not(any(test, debug_assertions)))]
pub const fn point() {}
