//! Looks at the host now and then, on a thread of its own, and tells what it saw.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use host::fleet::Fleet;
use host::sample::{Figures, Kernel, Rates, Traffic, rates};

use super::ask::{Askers, Run};
use super::row::{Doing, Row};
use super::vms::{Finder, Vm};

/// What is looked at, and how often.
pub struct Settings {
    pub fleet: Fleet,
    pub interval: Duration,
}

/// What was seen at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub rows: Vec<Row>,
    /// Of the host: all, and in use, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Why the state directory cannot be read.
    pub problem: Option<String>,
}

/// Compares each look with the one before.
pub struct Looker {
    kernel: Kernel,
    finder: Finder,
    askers: Askers,
    before: HashMap<Run, Look>,
}

struct Look {
    at: Instant,
    figures: Figures,
    traffic: Option<Traffic>,
}

impl Looker {
    pub fn new(fleet: Fleet) -> Self {
        Self {
            kernel: Kernel::here(),
            finder: Finder::new(fleet),
            askers: Askers::start(),
            before: HashMap::new(),
        }
    }

    /// Waits for no hypervisor.
    pub fn look(&mut self) -> Seen {
        let memory = self.kernel.memory();
        let vms = match self.finder.find(&self.kernel) {
            Ok(vms) => vms,
            Err(error) => {
                return Seen {
                    problem: Some(error.to_string()),
                    memory,
                    rows: Vec::new(),
                };
            }
        };
        let uptime = self.kernel.uptime();
        let before = std::mem::take(&mut self.before);
        let rows = vms.iter().map(|vm| self.row(vm, &before, uptime)).collect();
        self.askers.retain(|run| self.before.contains_key(run));
        Seen {
            problem: None,
            memory,
            rows,
        }
    }

    /// Whether a hypervisor was asked that has not answered yet.
    pub fn waits(&self) -> bool {
        self.askers.wait()
    }

    fn row(&mut self, vm: &Vm, before: &HashMap<Run, Look>, uptime: Option<Duration>) -> Row {
        if vm.broken.is_some() {
            return Row::of(vm, Doing::Broken);
        }
        let Some(pid) = vm.pid.filter(|_| vm.runs) else {
            let doing = if vm.runs {
                Doing::Running
            } else {
                Doing::Stopped
            };
            return Row::of(vm, doing);
        };
        let run = (vm.dir.clone(), pid);
        let control = vm.package.control.as_ref();
        let answer = control.and_then(|control| self.askers.answer(&run, control));
        let doing = answer.map_or(Doing::Running, |answer| answer.state.into());
        let mut row = Row::of(vm, doing);
        row.guest_mib = answer.and_then(|answer| answer.guest_mib);
        if let Some(figures) = self.kernel.process(pid) {
            row.uptime = uptime.and_then(|uptime| uptime.checked_sub(figures.started));
            row.host_bytes = Some(figures.resident_bytes);
            let traffic = self.kernel.traffic(&vm.package.interfaces);
            let now = Look {
                at: Instant::now(),
                figures,
                traffic,
            };
            let old = before.get(&run);
            row.rates = old.map_or(Rates::default(), |old| old.until(&now));
            self.before.insert(run, now);
        }
        row
    }
}

impl Look {
    fn until(&self, now: &Self) -> Rates {
        rates(
            (&self.figures, self.traffic),
            (&now.figures, now.traffic),
            now.at.duration_since(self.at),
        )
    }
}

/// What the view hears of the thread that looks, and how it has that look at once.
pub struct Watch {
    pub seen: Receiver<Seen>,
    pub look_now: Sender<()>,
}

/// So soon after the first look there are rates.
const FIRST: Duration = Duration::from_millis(500);

/// Looks until the view is gone.
pub fn watch(settings: Settings) -> Watch {
    let (tell, seen) = channel();
    let (look_now, asked) = channel();
    std::thread::spawn(move || {
        let mut looker = Looker::new(settings.fleet);
        let mut pause = FIRST.min(settings.interval);
        while tell.send(looker.look()).is_ok() {
            match asked.recv_timeout(pause) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => pause = settings.interval,
            }
        }
    });
    Watch { seen, look_now }
}
