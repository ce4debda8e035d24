//! What virtiofsd logs, as lines on stderr that name the share.

use std::io::Write;

struct Lines {
    tag: String,
}

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(std::io::stderr(), "share `{}`: {}", self.tag, record.args());
        }
    }

    fn flush(&self) {}
}

/// Logs to stderr from now on.
pub fn install(tag: &str, level: log::LevelFilter) {
    let lines = Lines {
        tag: tag.to_owned(),
    };
    if log::set_boxed_logger(Box::new(lines)).is_ok() {
        log::set_max_level(level);
    }
}
