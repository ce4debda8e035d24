//! The KVM host in use, and another one where it is lost.

use std::sync::{Arc, Mutex, PoisonError};

use harness::Outcome;

use crate::hypervisors::Hypervisor;
use crate::suite::Suite;

/// How many KVM hosts a run may take. The emulation now and then locks up the host that uses
/// KVM.
const HOSTS: u32 = 3;

/// One suite at a time, with its KVM host.
pub struct Hosts {
    hypervisors: Vec<Hypervisor>,
    current: Mutex<(u32, Arc<Suite>)>,
}

impl Hosts {
    pub fn new(hypervisors: Vec<Hypervisor>) -> Self {
        let first = Arc::new(Suite::new(&hypervisors));
        Self {
            hypervisors,
            current: Mutex::new((1, first)),
        }
    }

    /// Runs a test, again on another KVM host where it failed and its own no longer answers.
    pub fn run(&self, name: &str, test: impl Fn(&Suite) -> Outcome) -> Outcome {
        loop {
            let (number, suite) = self.current();
            let Err(failure) = test(&suite) else {
                return Ok(());
            };
            // At once: the others go on for long.
            eprintln!("{name}: {failure}");
            let Some(end) = suite.lost_host() else {
                return Err(failure);
            };
            eprintln!(
                "{name}: KVM host {number} of at most {HOSTS} does not answer; its end:\n{end}"
            );
            if number == HOSTS {
                return Err(failure);
            }
            drop(suite);
            self.replace(number);
        }
    }

    fn current(&self) -> (u32, Arc<Suite>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (current.0, Arc::clone(&current.1))
    }

    /// Does nothing where another test has done it.
    fn replace(&self, number: u32) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 == number {
            *current = (number + 1, Arc::new(Suite::new(&self.hypervisors)));
        }
    }
}
