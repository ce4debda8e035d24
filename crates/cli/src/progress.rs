//! Long work, shown: one line that is rewritten on a terminal, a line per phase elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Shows nothing for the first 250 ms: what is fast needs no words.
pub struct TermProgress {
    started: Instant,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Option<String>,
    line_is_open: bool,
}

const QUIET: Duration = Duration::from_millis(250);

impl TermProgress {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    fn show(&self, phase: &str, detail: Option<&str>) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let is_new = state.phase.as_deref() != Some(phase);
        state.phase = Some(phase.to_owned());
        if self.terminal {
            if self.started.elapsed() >= QUIET {
                eprint!("\r\x1b[K{phase}{}", detail.map(|d| format!(": {d}")).unwrap_or_default());
                let _ = std::io::stderr().flush();
                state.line_is_open = true;
            }
        } else if is_new {
            eprintln!("{phase}");
        }
    }
}

impl image::progress::Progress for TermProgress {
    fn phase(&self, phase: &str) {
        self.show(phase, None);
    }

    fn detail(&self, detail: &str) {
        let phase = self.state.lock().expect("no holder of this lock panics").phase.clone();
        self.show(&phase.unwrap_or_default(), Some(detail));
    }
}

impl Drop for TermProgress {
    fn drop(&mut self) {
        if self.state.get_mut().is_ok_and(|state| state.line_is_open) {
            eprint!("\r\x1b[K");
        }
    }
}
