//! stderr: logs and the terminal.

use std::io::IsTerminal;

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
