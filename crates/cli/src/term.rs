//! stderr and signals.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing_subscriber::EnvFilter;

/// Logs of level `warn` and above go to stderr; `MICROVM_LOG=debug` shows more.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("MICROVM_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .without_time()
        .with_target(false)
        .init();
}

/// A reader who has seen enough ends us, as he ends other programs that only print. Not for those
/// that look after others.
pub fn end_with_the_reader() {
    #[expect(unsafe_code, reason = "the default action runs no code of ours")]
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// True once Ctrl-C, SIGTERM or SIGHUP came; a build then stops and cleans up.
pub fn interrupted() -> &'static AtomicBool {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let mark = || INTERRUPTED.store(true, Ordering::Relaxed);
            register(signal, mark);
        }
    }
    &INTERRUPTED
}

#[expect(
    unsafe_code,
    reason = "the handler only stores to an atomic, which is safe in a signal handler"
)]
fn register(signal: i32, action: impl Fn() + Send + Sync + 'static) {
    // Fails only for signals that cannot be caught.
    let _ = unsafe { signal_hook::low_level::register(signal, action) };
}
