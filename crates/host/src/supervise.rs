//! Runs a VM in the foreground: its shares, its hypervisor, a graceful stop on a signal; leaves
//! no process and no socket behind.

mod diagnose;
mod hypervisor;
mod orphans;
mod signals;
mod stop;
mod terminal;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use backend::control::Control;
use nix::sys::signal::Signal;
use spec::vm::ForwardPort;

use crate::control::Stopped;
use crate::kind::Kind;
use crate::lock::{self, RunLock};
use crate::virtiofs::{self, Daemons, Shares};
use crate::{ports, socket};

pub use diagnose::Cause;
pub use signals::Signals;

use hypervisor::Hypervisor;
use stop::{Request, Stopper};
use terminal::Terminal;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The state directory `{}` cannot be entered", .path.display())]
    State {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Port(#[from] ports::Error),
    #[error(transparent)]
    Share(#[from] virtiofs::Error),
    #[error("`{}` cannot be run", .program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("{cause}")]
    Known { cause: Cause },
    #[error("The hypervisor failed ({status}){}", words_clause(.said))]
    Hypervisor { status: ExitStatus, said: String },
    #[error("Signals cannot be received")]
    Signals(#[source] std::io::Error),
}

fn words_clause(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::State { source, .. } => Kind::of_io(source),
            Self::Lock(error) => error.kind(),
            Self::Port(error) => error.kind(),
            Self::Share(error) => error.kind(),
            Self::Run { .. } => Kind::Missing,
            Self::Known { cause } => cause.kind(),
            Self::Hypervisor { .. } => Kind::Hypervisor,
            Self::Signals(_) => Kind::Other,
        }
    }
}

/// What is run, and how.
#[derive(Debug)]
pub struct Run<'a> {
    /// Name of the VM.
    pub vm: &'a str,
    /// `bin/microvm-run` of the package.
    pub program: &'a Path,
    pub args: &'a [OsString],
    /// Where relative paths resolve; becomes the current directory.
    pub state: &'a Path,
    pub control: Control,
    pub shares: Shares,
    pub forward_ports: &'a [ForwardPort],
    /// Whether the hypervisor reads the guest's console from stdin.
    pub console_on_stdin: bool,
    /// How long the guest has to shut itself down.
    pub stop_timeout: Duration,
}

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The guest powered itself off, or was ended at its console.
    ByGuest,
    /// A signal asked for it.
    Stopped(Stopped),
    /// A signal ended it before the guest ran.
    Interrupted,
    /// `microvm-run` refused with this exit code, and has said why.
    Refused(u8),
}

/// Runs a VM to its end. Lines for people go to `say`. To be called from the first thread, for
/// the hypervisor is killed when the thread that started it ends.
pub fn run(run: &Run<'_>, say: &mut dyn FnMut(String)) -> Result<Ended, Error> {
    // Before the directory changes.
    let program = std::path::absolute(run.program).unwrap_or_else(|_| run.program.to_owned());
    std::env::set_current_dir(run.state).map_err(|source| Error::State {
        path: run.state.to_owned(),
        source,
    })?;
    let state = std::env::current_dir().unwrap_or_else(|_| run.state.to_owned());
    RunLock::check(&state, run.vm)?;
    ports::check(run.forward_ports)?;
    orphans::adopt();
    let signals = Signals::receive(&WANTED).map_err(Error::Signals)?;
    let terminal = Terminal::remember();
    let result = Daemons::start(&run.shares)
        .map_err(Error::from)
        .and_then(|mut daemons| {
            let result = attended(run, &program, &signals, &mut daemons, say);
            daemons.stop();
            result
        });
    let asked = orphans::wait();
    drop(terminal);
    for socket in run.control.sockets() {
        // One that is live is of another run, and stays.
        let _ = socket::remove_stale(socket);
    }
    RunLock::remove_ended(&state, run.vm);
    match result {
        Ok(Ended::Interrupted) | Err(Error::Hypervisor { .. }) if asked => Ok(Ended::ByGuest),
        other => other,
    }
}

const WANTED: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGCHLD,
];

/// Longest from the end of a daemon to the hypervisor's own: a hypervisor that ends takes its
/// daemons along, in no certain order.
const GRACE: Duration = Duration::from_secs(2);

fn attended(
    run: &Run<'_>,
    program: &Path,
    signals: &Signals,
    daemons: &mut Daemons,
    say: &mut dyn FnMut(String),
) -> Result<Ended, Error> {
    if matches!(signals.wait(Some(Duration::ZERO)), Ok(Some(signal)) if signal != Signal::SIGCHLD) {
        return Ok(Ended::Interrupted);
    }
    let mut hypervisor = Hypervisor::start(run, program)?;
    let mut stopper = Stopper::new(run.control.clone(), run.stop_timeout);
    let mut lost: Option<(virtiofs::Error, Instant)> = None;
    let mut signalled = false;
    let status = loop {
        let tick = (stopper.is_busy() || lost.is_some()).then_some(Duration::from_millis(50));
        let signal = signals.wait(tick).map_err(Error::Signals)?;
        let signal = signal.filter(|signal| *signal != Signal::SIGCHLD);
        signalled |= signal.is_some();
        if let Some(status) = hypervisor.ended() {
            break status;
        }
        if let Some(signal) = signal {
            say(stopper.signalled(signal, run.vm));
        }
        stopper.advance(&hypervisor);
        lost = lost.or_else(|| lost_daemon(daemons));
        if lost
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() > GRACE)
        {
            stopper.give_up(&hypervisor);
        }
    };
    let said = hypervisor.last_words();
    if let Some((error, _)) = lost.filter(|_| stopper.gave_up()) {
        return Err(error.into());
    }
    match stopper.into_outcome() {
        // At a terminal both get a Ctrl-C, and it may be the first to end.
        Request::None if signalled || ended_by_signal(status) => Ok(Ended::Interrupted),
        Request::None => judge(status, &said),
        Request::Done(outcome) => Ok(Ended::Stopped(outcome)),
        Request::TooEarly => Ok(Ended::Interrupted),
    }
}

fn lost_daemon(daemons: &mut Daemons) -> Option<(virtiofs::Error, Instant)> {
    let (tag, status) = daemons.ended()?;
    let tag = tag.to_owned();
    Some((virtiofs::Error::Died { tag, status }, Instant::now()))
}

/// By one that people send, not by one that tells of a fault.
fn ended_by_signal(status: ExitStatus) -> bool {
    let ending = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    ending
        .iter()
        .any(|signal| status.signal() == Some(*signal as i32))
}

/// Exit codes from 2 to 8 are `microvm-run`'s own, from before it became the hypervisor.
fn judge(status: ExitStatus, said: &str) -> Result<Ended, Error> {
    if status.success() {
        return Ok(Ended::ByGuest);
    }
    if let Some(code @ 2..=8) = status.code() {
        return Ok(Ended::Refused(
            u8::try_from(code).expect("the range is small"),
        ));
    }
    match Cause::of(said) {
        Some(cause) => Err(Error::Known { cause }),
        None => Err(Error::Hypervisor {
            status,
            said: diagnose::summary(said),
        }),
    }
}
