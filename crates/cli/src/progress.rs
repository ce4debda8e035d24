//! Long work, shown: one line that is rewritten on a terminal, a line per phase elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use image::progress::{Phase, Progress};

/// On a terminal nothing is shown for the first 250 ms: what is fast needs no words.
pub struct TermProgress {
    started: Instant,
    terminal: bool,
    line_is_open: AtomicBool,
}

const QUIET: Duration = Duration::from_millis(250);

impl TermProgress {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            line_is_open: AtomicBool::new(false),
        }
    }

    fn rewrite(&self, line: &str) {
        if self.started.elapsed() >= QUIET {
            eprint!("\r\x1b[K{line}");
            let _ = std::io::stderr().flush();
            self.line_is_open.store(true, Ordering::Relaxed);
        }
    }
}

impl Progress for TermProgress {
    fn start(&self, phase: Phase, subject: &str) {
        let line = match subject {
            "" => phase.label().to_owned(),
            _ => format!("{}: {subject}", phase.label()),
        };
        if self.terminal {
            self.rewrite(&line);
        } else {
            eprintln!("{line}");
        }
    }

    fn advance(&self, phase: Phase, done: u64, total: u64) {
        if self.terminal && total > 0 {
            self.rewrite(&format!(
                "{}: {}%",
                phase.label(),
                done.min(total) * 100 / total
            ));
        }
    }
}

impl Drop for TermProgress {
    fn drop(&mut self) {
        if self.line_is_open.load(Ordering::Relaxed) {
            eprint!("\r\x1b[K");
        }
    }
}
