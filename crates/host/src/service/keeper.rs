//! The keeper of one VM: brings up what it needs, starts it, restarts it when it fails, stops it
//! when it is told to. It holds nothing that the VM needs: killed, it leaves the VM running, and
//! another takes its place.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::process::Signal as Kill;
use serde::{Deserialize, Serialize};
use spec::names::VmName;

use super::part::{self, Part};
use super::ready::{GRACE, Readiness, readiness};
use super::{Account, Error, Log};
use crate::fleet::{Fleet, Owner};
use crate::lock::RunLock;
use crate::process::Process;
use crate::supervise::Signals;

mod outcome;
mod shares;

pub use outcome::Outcome;

/// What a keeper is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub fleet: PathBuf,
    pub name: VmName,
    pub package: PathBuf,
}

/// One that fails so often in a row is left alone.
const FAILURES: u32 = 5;

/// One that ran so long has not failed in a row.
const LONG: Duration = Duration::from_secs(60);

/// Longest that a hypervisor has after SIGTERM.
const TERM_TIME: Duration = Duration::from_secs(5);

/// Longest that a package's `microvm-shutdown` may take; it bounds itself.
const SHUTDOWN: Duration = Duration::from_secs(90);

/// What `microvm-shutdown` ends with where the guest did not shut itself down.
const ESCALATED: i32 = 10;

/// Keeps a VM until it ends.
pub fn keeper_main(told: &str) -> ExitCode {
    let kept = serde_json::from_str(told)
        .map_err(|error| error.to_string())
        .and_then(|told: Told| Keeper::new(told).map_err(|error| error.to_string()))
        .and_then(|mut keeper| {
            keeper.keep().map_err(|error| match error {
                // Who reads it says of which VM it is.
                Error::Start { said, .. } => said,
                other => chain(&other),
            })
        });
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            tell(&error.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn say(line: &str) {
    eprintln!("microvm: {line}");
}

/// To who started the VM and waits; he may be gone.
fn tell(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

struct Keeper {
    told: Told,
    fleet: Fleet,
    run: PathBuf,
    own: PathBuf,
    account: Option<Account>,
    signals: Signals,
    log: Log,
    told_to_stop: bool,
    _lock: RunLock,
}

/// The hypervisor, as this keeper's child or as one that was there before it.
enum Running {
    Child(Child),
    Found(Process),
}

impl Running {
    /// How it ended, if it has; of one that is nobody's child nothing is known.
    fn ended(&mut self) -> Option<Option<ExitStatus>> {
        match self {
            Self::Child(child) => child.try_wait().ok().flatten().map(Some),
            Self::Found(process) => process.wait(Duration::ZERO).then_some(None),
        }
    }

    fn wait(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    fn signal(&self, signal: Kill) {
        match self {
            Self::Child(child) => {
                let pid = rustix::process::Pid::from_child(child);
                let _ = rustix::process::kill_process(pid, signal);
            }
            Self::Found(process) => drop(process.signal(signal)),
        }
    }
}

/// Why the loop went on.
enum Event {
    Stop,
    Ended(Option<ExitStatus>),
}

impl Keeper {
    fn new(told: Told) -> Result<Self, Error> {
        let wanted = [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGCHLD,
        ];
        let signals = Signals::receive(&wanted)
            .map_err(|source| Error::io("receive signals for", &told.fleet, source))?;
        let fleet = Fleet::new(&told.fleet, Owner::here())?;
        let run = fleet.own("run")?;
        let lock = RunLock::take(&run, &Part::Keeper.lock_name(&told.name))?;
        let dir = fleet.dir_of(&told.name);
        std::env::set_current_dir(&dir).map_err(|source| Error::io("enter", &dir, source))?;
        let own = std::env::current_exe().map_err(|source| Error::io("find", &dir, source))?;
        Ok(Self {
            log: Log::of(&fleet, &told.name),
            account: Account::here(),
            told,
            fleet,
            run,
            own,
            signals,
            told_to_stop: false,
            _lock: lock,
        })
    }

    fn keep(&mut self) -> Result<(), Error> {
        let mut running = match self.found() {
            Some(process) => {
                tell("ready");
                Running::Found(process)
            }
            None => match self.bring_up().and_then(|()| self.start()) {
                Ok(child) => Running::Child(child),
                Err(error) => {
                    self.take_down();
                    return Err(error);
                }
            },
        };
        let mut failures = 0;
        loop {
            let since = Instant::now();
            match self.event(&mut running) {
                Event::Stop => {
                    self.stop(&mut running).write(&self.run, &self.told.name);
                    break;
                }
                Event::Ended(None) => break,
                Event::Ended(Some(status)) if status.success() => break,
                Event::Ended(Some(status)) => {
                    failures = if since.elapsed() > LONG {
                        1
                    } else {
                        failures + 1
                    };
                    say(&format!(
                        "The hypervisor of `{}` failed ({status})",
                        self.told.name
                    ));
                    match self.again(failures) {
                        Some(child) => running = Running::Child(child),
                        None => break,
                    }
                }
            }
        }
        self.take_down();
        Ok(())
    }

    /// A hypervisor that another keeper left, or that somebody started by hand.
    fn found(&self) -> Option<Process> {
        Part::Hypervisor
            .process(&self.run, &self.told.name)
            .or_else(|| Process::of_lock(Path::new("."), &self.told.name))
    }

    fn bring_up(&self) -> Result<(), Error> {
        for command in ["tap-up", "macvtap-up", "pci-setup"] {
            self.run_command(command)?;
        }
        shares::start(&self.told, &self.run, &self.own)
    }

    /// Waits, within a bound, until nothing of a hypervisor that ended is left: the process that
    /// keeps its console has inherited its lock, and has its last words to write.
    fn settle(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        let lock = Part::Hypervisor.lock_name(&self.told.name);
        let start = Instant::now();
        while RunLock::check(&self.run, &lock).is_err() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops what the hypervisor needed; what cannot be is said, and the rest done.
    fn take_down(&self) {
        self.settle();
        shares::stop(&self.run, &self.told.name);
        for command in ["macvtap-down", "tap-down"] {
            if let Err(error) = self.run_command(command) {
                say(&error.to_string());
            }
        }
        RunLock::remove_ended(Path::new("."), &self.told.name);
        for part in [Part::Hypervisor, Part::Shares, Part::Keeper] {
            let lock = part.lock_name(&self.told.name);
            if part == Part::Keeper {
                // Held by this process: nobody can find another one under it.
                let _ = std::fs::remove_file(self.run.join(format!("{lock}.lock")));
            } else {
                RunLock::remove_ended(&self.run, &lock);
            }
        }
        if let Err(error) = self.fleet.clear_booted(&self.told.name) {
            say(&error.to_string());
        }
    }

    /// A command of the package, where it has it, as who this process is.
    fn run_command(&self, name: &str) -> Result<(), Error> {
        let program = self.told.package.join("bin").join(name);
        if !program.exists() {
            return Ok(());
        }
        let mut command = Command::new(&program);
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|source| Error::Run { program, source })?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Program {
                program: name.to_owned(),
                status,
            }),
        }
    }

    /// Starts the hypervisor and waits until it runs.
    fn start(&mut self) -> Result<Child, Error> {
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
            match readiness(&self.told.package, self.account) {
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
    fn again(&mut self, failures: u32) -> Option<Child> {
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

    fn event(&self, running: &mut Running) -> Event {
        loop {
            if let Some(status) = running.ended() {
                return Event::Ended(status);
            }
            // A child that ends is a signal; of another process the end must be looked for.
            let tick = match running {
                Running::Child(_) => Duration::from_secs(60),
                Running::Found(_) => Duration::from_secs(1),
            };
            match self.signals.wait(Some(tick)) {
                Ok(Some(Signal::SIGTERM | Signal::SIGINT)) => return Event::Stop,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => self.log.trim(),
            }
        }
    }

    /// Asks the guest, through the package's own command, which waits within a bound; then ends
    /// what is left.
    fn stop(&self, running: &mut Running) -> Outcome {
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
        asking.signal(Kill::KILL);
        asking.wait(TERM_TIME);
        running.wait(TERM_TIME);
        code
    }

    fn end(&self, running: &mut Running) {
        running.signal(Kill::TERM);
        if !running.wait(TERM_TIME) {
            running.signal(Kill::KILL);
            running.wait(TERM_TIME);
        }
    }
}
