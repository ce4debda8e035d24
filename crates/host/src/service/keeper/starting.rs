//! How a keeper starts its VM, and starts it again when it fails.

use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Keeper, Outcome, Running, chain, say, tell};
use crate::service::Error;
use crate::service::part::{self, Part};
use crate::service::ready::{GRACE, Readiness, readiness};

/// One that fails so often in a row is left alone.
const FAILURES: u32 = 5;

impl Keeper {
    /// Starts the hypervisor and waits until it runs.
    pub(super) fn start(&mut self) -> Result<Child, Error> {
        let told = part::Told {
            run: self.run.clone(),
            lock: Part::Hypervisor.lock_name(&self.told.name),
            program: self.told.package.join("bin/microvm-run"),
            account: self.account,
        };
        let from = self.log.length();
        let mut child = told.start(&self.own, None)?;
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                // One whose guest was quick has done what it was started for.
                if status.success() {
                    tell("ready");
                    return Ok(child);
                }
                let said = self.log.last_words(from);
                let name = self.told.name.to_string();
                return Err(Error::Start { name, said });
            }
            let age = start.elapsed();
            match readiness(&self.told.package, &self.told.name, self.account) {
                Readiness::Runs => break,
                Readiness::Untold if age > GRACE => break,
                _ => {}
            }
            if let Ok(Some(Signal::SIGTERM | Signal::SIGINT)) =
                self.signals.wait(Some(Duration::from_millis(200)))
            {
                self.told_to_stop = true;
                let outcome = self.stop(&mut Running::Child(child));
                outcome.write(&self.run, &self.told.name);
                let said = "it was told to stop before it ran".to_owned();
                let name = self.told.name.to_string();
                return Err(Error::Start { name, said });
            }
        }
        tell("ready");
        Ok(child)
    }

    /// Starts one that failed again, after a while that grows; `None` where that is of no use.
    pub(super) fn again(&mut self, failures: u32) -> Option<Child> {
        for number in failures..=FAILURES {
            if number == FAILURES {
                break;
            }
            let pause = Duration::from_secs(1 << number.min(5));
            say(&format!("It is started again in {} s", pause.as_secs()));
            if self.told_to_stop_within(pause) {
                return None;
            }
            self.settle();
            match self.start() {
                Ok(child) => return Some(child),
                Err(error) => say(&chain(&error)),
            }
            if self.told_to_stop {
                return None;
            }
        }
        let name = &self.told.name;
        say(&format!(
            "`{name}` failed {FAILURES} times in a row and is left alone"
        ));
        Outcome::Failed.write(&self.run, name);
        None
    }

    fn told_to_stop_within(&self, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            if let Ok(Some(Signal::SIGTERM | Signal::SIGINT)) = self.signals.wait(Some(left)) {
                return true;
            }
        }
        false
    }
}
