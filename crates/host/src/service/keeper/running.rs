//! A hypervisor while it runs.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::Process;

/// The hypervisor, as this keeper's child or as one that was there before it.
pub enum Running {
    Child(Child),
    Found(Process),
}

impl Running {
    /// How it ended, if it has; of one that is nobody's child nothing is known.
    pub fn ended(&mut self) -> Option<Option<ExitStatus>> {
        match self {
            Self::Child(child) => child.try_wait().ok().flatten().map(Some),
            Self::Found(process) => process.wait(Duration::ZERO).then_some(None),
        }
    }

    pub fn wait(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    pub fn signal(&self, signal: Signal) {
        match self {
            Self::Child(child) => {
                let pid = rustix::process::Pid::from_child(child);
                let _ = rustix::process::kill_process(pid, signal);
            }
            Self::Found(process) => drop(process.signal(signal)),
        }
    }
}
