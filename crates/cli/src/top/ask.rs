//! Asks hypervisors how their guests are, off the thread that draws: one that hangs keeps a few
//! others waiting at most, and the view never.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backend::control::Control;
use host::control::{self, RunState, with_own_directory};

/// At once.
const ASKERS: usize = 8;

/// An answer is good for so long.
const FRESH: Duration = Duration::from_secs(5);

/// One that did not answer is left alone for so long.
const BACKOFF: Duration = Duration::from_secs(5);

/// Without an answer for so long, a hypervisor is taken for silent.
const SILENT: Duration = Duration::from_millis(1500);

/// A run of a VM: its directory and its process.
pub type Run = (PathBuf, u32);

struct Question {
    run: Run,
    control: Control,
}

/// What is known of a run.
#[derive(Clone, Copy)]
struct Known {
    answer: Option<Answer>,
    asked: Instant,
    waits: bool,
}

/// What a hypervisor last said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub state: RunState,
    pub guest_mib: Option<u64>,
}

const NOTHING: Answer = Answer {
    state: RunState::Unknown,
    guest_mib: None,
};

type Shared = Arc<Mutex<HashMap<Run, Known>>>;

/// Those who ask, and what they heard.
pub struct Askers {
    known: Shared,
    questions: Sender<Question>,
}

impl Askers {
    pub fn start() -> Self {
        let (questions, asked) = channel();
        let asked = Arc::new(Mutex::new(asked));
        let known = Shared::default();
        for _ in 0..ASKERS {
            let (asked, known) = (Arc::clone(&asked), Arc::clone(&known));
            std::thread::spawn(move || ask_all(&asked, &known));
        }
        Self { known, questions }
    }

    /// The last answer, if there was one; asks again where it is old. Waits for nothing.
    pub fn answer(&self, run: &Run, control: &Control) -> Option<Answer> {
        let mut all = locked(&self.known);
        let now = Instant::now();
        let known = all.get(run).copied();
        if known.is_none_or(|known| known.is_due(now)) {
            let known = Known {
                answer: known.and_then(|known| known.answer),
                asked: now,
                waits: true,
            };
            all.insert(run.clone(), known);
            let (run, control) = (run.clone(), control.clone());
            // Fails where nobody could be set to ask.
            let _ = self.questions.send(Question { run, control });
        }
        let known = known?;
        match known.waits && now.duration_since(known.asked) > SILENT {
            true => Some(NOTHING),
            false => known.answer,
        }
    }

    /// Whether somebody is still waited for.
    pub fn wait(&self) -> bool {
        locked(&self.known).values().any(|known| known.waits)
    }

    /// Forgets the runs that have ended.
    pub fn retain(&self, is_there: impl Fn(&Run) -> bool) {
        locked(&self.known).retain(|run, _| is_there(run));
    }
}

impl Known {
    fn is_due(&self, now: Instant) -> bool {
        let answered = self
            .answer
            .is_some_and(|answer| answer.state != RunState::Unknown);
        let wait = if answered { FRESH } else { BACKOFF };
        !self.waits && now.duration_since(self.asked) >= wait
    }
}

fn ask_all(questions: &Mutex<Receiver<Question>>, known: &Mutex<HashMap<Run, Known>>) {
    // Sockets are relative to the directory of their VM.
    if with_own_directory().is_err() {
        return;
    }
    loop {
        let Ok(Question { run, control }) = locked(questions).recv() else {
            return;
        };
        let answer = match std::env::set_current_dir(&run.0) {
            Ok(()) => heard(&control::status(&control)),
            Err(_) => NOTHING,
        };
        if let Some(known) = locked(known).get_mut(&run) {
            known.answer = Some(answer);
            known.waits = false;
        }
    }
}

fn heard(status: &control::Status) -> Answer {
    Answer {
        state: status.state,
        guest_mib: status.memory_mib,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
