//! How a keeper ends its VM: asked first, then told.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Keeper, Outcome, Running};
use crate::lock::RunLock;
use crate::service::Part;

/// Longest that a hypervisor has after SIGTERM.
const TERM_TIME: Duration = Duration::from_secs(5);

/// Longest that a package's `microvm-shutdown` may take; it bounds itself.
const SHUTDOWN: Duration = Duration::from_secs(90);

/// What `microvm-shutdown` ends with where the guest did not shut itself down.
const ESCALATED: i32 = 10;

impl Keeper {
    /// Asks the guest, through the package's own command, which waits within a bound; then ends
    /// what is left.
    pub(super) fn stop(&self, running: &mut Running) -> Outcome {
        let code = self.ask(running);
        if running.ended().is_none() {
            self.end(running);
            return Outcome::Escalated;
        }
        match code {
            // The command had to end it; see `docs/exit-codes.md`.
            Some(ESCALATED) => Outcome::Escalated,
            _ => Outcome::Graceful,
        }
    }

    /// The exit code of the package's `microvm-shutdown`, once that or the hypervisor has ended.
    fn ask(&self, running: &mut Running) -> Option<i32> {
        const STEP: Duration = Duration::from_millis(20);
        let mut command = Command::new(self.told.package.join("bin/microvm-shutdown"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        let mut asking = command.spawn().ok().map(Running::Child)?;
        let deadline = Instant::now() + SHUTDOWN;
        while asking.ended().is_none() && Instant::now() < deadline {
            // Looked at here too: who waits for a child of ours sees it until it is reaped.
            if running.ended().is_some() {
                asking.wait(TERM_TIME);
                break;
            }
            std::thread::sleep(STEP);
        }
        let code = asking.ended().flatten().and_then(|status| status.code());
        asking.signal(Signal::KILL);
        asking.wait(TERM_TIME);
        running.wait(TERM_TIME);
        code
    }

    fn end(&self, running: &mut Running) {
        running.signal(Signal::TERM);
        if !running.wait(TERM_TIME) {
            running.signal(Signal::KILL);
            running.wait(TERM_TIME);
        }
    }

    /// Waits, within a bound, until nothing of a hypervisor that ended is left: the process that
    /// keeps its console has inherited its lock, and has its last words to write.
    pub(super) fn settle(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        let lock = Part::Hypervisor.lock_name(&self.told.name);
        let start = Instant::now();
        while RunLock::check(&self.run, &lock).is_err() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
