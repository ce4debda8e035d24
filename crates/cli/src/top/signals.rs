//! Signals that the view heeds between two pictures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use signal_hook::consts::{SIGCONT, SIGINT, SIGTERM, SIGTSTP};

use crate::error::{Kind, OrKind, Result};

/// Marks of those that came.
pub struct Signals {
    interrupt: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    go_on: Arc<AtomicBool>,
}

impl Signals {
    pub fn receive() -> Result<Self> {
        let mark = |signals: &[i32]| -> Result<_> {
            let flag = Arc::new(AtomicBool::new(false));
            for signal in signals {
                signal_hook::flag::register(*signal, Arc::clone(&flag)).or_kind(Kind::Other)?;
            }
            Ok(flag)
        };
        Ok(Self {
            interrupt: mark(&[SIGINT])?,
            end: mark(&[SIGTERM])?,
            stop: mark(&[SIGTSTP])?,
            go_on: mark(&[SIGCONT])?,
        })
    }

    /// SIGTERM came. SIGHUP ends the process as ever: there is no terminal to give back.
    pub fn end(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// SIGINT came since this was asked last.
    pub fn interrupted(&self) -> bool {
        self.interrupt.swap(false, Ordering::Relaxed)
    }

    /// SIGTSTP came since this was asked last.
    pub fn stopped(&self) -> bool {
        self.stop.swap(false, Ordering::Relaxed)
    }

    /// SIGCONT came: somebody else may have drawn meanwhile.
    pub fn continued(&self) -> bool {
        self.go_on.swap(false, Ordering::Relaxed)
    }

    /// Stops this process, as SIGTSTP does where nobody heeds it; returns when it goes on.
    pub fn stop_here() {
        let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
    }

    /// As the terminal does at Ctrl-Z, for all of this job.
    pub fn stop_the_job() {
        let _ = nix::sys::signal::kill(Pid::from_raw(0), Signal::SIGTSTP);
    }
}
