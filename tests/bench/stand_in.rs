//! Stands in for QEMU, to see when a runner hands over: answers probes, then tells the time.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Directory that holds this program as `bin/qemu-system-ARCH`.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// `None` where this process was called as the benchmark itself.
pub fn answer() -> Option<i32> {
    let mut args = std::env::args();
    args.next();
    let args: Vec<String> = args.collect();
    std::env::current_exe()
        .ok()?
        .file_name()
        .filter(|name| *name == PROGRAM)?;
    if args
        .iter()
        .any(|arg| arg == "--version" || arg == "-version")
    {
        println!("QEMU emulator version 7.2.22");
    } else if !args.iter().any(|arg| arg == "help" || arg == "-help") {
        println!("handed over at {}", now().as_nanos());
    }
    Some(0)
}

/// The monotonic clock, the same in all processes.
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(Duration::from)
        .unwrap_or_default()
}
