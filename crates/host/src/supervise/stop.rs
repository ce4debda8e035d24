//! What a signal to us does to the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use backend::control::Control;
use nix::sys::signal::Signal;

use super::hypervisor::Hypervisor;
use crate::control::{self, Stopped};

/// The first signal presses the guest's power button, the second ends the hypervisor.
pub struct Stopper {
    control: Control,
    timeout: Duration,
    hurry: Arc<AtomicBool>,
    state: State,
    gave_up: bool,
}

enum State {
    Idle,
    /// A thread speaks with the hypervisor.
    Asking(JoinHandle<Answer>),
    /// The guest is stopped; its hypervisor is about to be seen to have ended.
    Answered(Stopped),
    /// The guest cannot be asked: SIGTERM was sent, SIGKILL follows.
    Ending {
        since: Instant,
        early: bool,
    },
}

type Answer = Result<Stopped, control::Error>;

/// What came of the signals, once the hypervisor has ended.
pub enum Request {
    None,
    Done(Stopped),
    /// The hypervisor was ended before it listened.
    TooEarly,
}

/// Longest from SIGTERM to SIGKILL.
const TERM_TIME: Duration = Duration::from_secs(5);

impl Stopper {
    pub fn new(control: Control, timeout: Duration) -> Self {
        let hurry = Arc::default();
        Self {
            control,
            timeout,
            hurry,
            state: State::Idle,
            gave_up: false,
        }
    }

    pub fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Acts on a signal and gives the line that tells of it.
    pub fn signalled(&mut self, signal: Signal, vm: &str) -> String {
        if self.is_busy() {
            self.hurry.store(true, Ordering::Relaxed);
            return format!("{signal} again: ending `{vm}` at once");
        }
        let (control, timeout, hurry) =
            (self.control.clone(), self.timeout, Arc::clone(&self.hurry));
        let asking = std::thread::spawn(move || control::shutdown(&control, timeout, &hurry));
        self.state = State::Asking(asking);
        format!(
            "{signal}: asking `{vm}` to shut down, for at most {} s; once more ends it at once",
            timeout.as_secs()
        )
    }

    /// Goes on where the guest cannot be asked.
    pub fn advance(&mut self, hypervisor: &Hypervisor) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Asking(thread) if thread.is_finished() => {
                self.state = after(thread.join().ok(), hypervisor);
            }
            State::Ending { since, early } => {
                if self.hurry.load(Ordering::Relaxed) || since.elapsed() > TERM_TIME {
                    hypervisor.signal(rustix::process::Signal::KILL);
                }
                self.state = State::Ending { since, early };
            }
            other => self.state = other,
        }
    }

    /// Ends the hypervisor for a reason of ours.
    pub fn give_up(&mut self, hypervisor: &Hypervisor) {
        if !self.gave_up {
            self.gave_up = true;
            self.state = end(hypervisor, false);
        }
    }

    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    pub fn into_outcome(self) -> Request {
        match self.state {
            State::Idle => Request::None,
            State::Answered(stopped) => Request::Done(stopped),
            State::Ending { early: true, .. } => Request::TooEarly,
            State::Ending { early: false, .. } => Request::Done(Stopped::Quit),
            State::Asking(thread) => match thread.join() {
                Ok(Ok(Stopped::NotRunning)) => Request::TooEarly,
                Ok(Ok(stopped)) => Request::Done(stopped),
                // It ended of itself while it was asked.
                Ok(Err(_)) | Err(_) => Request::Done(Stopped::Graceful),
            },
        }
    }
}

/// Nobody listens yet on the control socket, or it does not serve: the signals of old do.
fn after(answer: Option<Answer>, hypervisor: &Hypervisor) -> State {
    match answer {
        Some(Ok(Stopped::NotRunning)) => end(hypervisor, true),
        Some(Ok(stopped)) => State::Answered(stopped),
        Some(Err(_)) | None => end(hypervisor, false),
    }
}

fn end(hypervisor: &Hypervisor, early: bool) -> State {
    hypervisor.signal(rustix::process::Signal::TERM);
    let since = Instant::now();
    State::Ending { since, early }
}
