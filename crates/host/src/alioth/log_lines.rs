//! What alioth logs, as lines on stderr.

use std::io::Write;

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(std::io::stderr(), "alioth: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Logs errors from now on; its warnings are of what every Linux does (0.12).
pub fn install() {
    if log::set_boxed_logger(Box::new(Lines)).is_ok() {
        log::set_max_level(log::LevelFilter::Error);
    }
}
