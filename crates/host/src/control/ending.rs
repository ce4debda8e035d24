//! The end of a VM: asked, then told, then killed, each with a bound.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backend::control::{Api, Control};
use rustix::process::Signal;

use super::client::{self, Client, RunState};
use super::{Error, PATIENCE, Stopped, agent};
use crate::process::Process;

/// A guest that is still booting misses the button; pressed again while it shuts down, systemd
/// does nothing more.
const PRESS_AGAIN: Duration = Duration::from_secs(3);

pub fn shutdown(
    control: &Control,
    timeout: Duration,
    hurry: &AtomicBool,
) -> Result<Stopped, Error> {
    let mut client = match client::connect(control) {
        Ok(client) => Some(client),
        Err(error) if error.is_not_running() => return Ok(Stopped::NotRunning),
        // A hypervisor without an interface of its own has a process, and perhaps an agent.
        Err(Error::NoSocket) if has_agent_alone(control) => None,
        Err(error) => return Err(error),
    };
    let behind = client.as_ref().and_then(|client| client.process());
    let process = Process::of_lock(Path::new("."), &control.vm).or(behind);
    if client.is_none() && process.is_none() {
        return Ok(Stopped::NotRunning);
    }
    let running = Running { control, process };
    let mut asking = Asking {
        running: &running,
        client: client.as_deref_mut(),
        hurry,
    };
    if asking.until(Instant::now() + timeout)? {
        return Ok(Stopped::Graceful);
    }
    running.end(client.as_deref_mut())
}

/// What is to end.
struct Running<'a> {
    control: &'a Control,
    /// `None` where it runs in another PID namespace.
    process: Option<Process>,
}

impl Running<'_> {
    /// Waits until it has ended, at most so long; says whether it has.
    fn wait(&self, timeout: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(100);
        if let Some(process) = &self.process {
            return process.wait(timeout);
        }
        let deadline = Instant::now() + timeout;
        while client::connect(self.control).is_ok() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(STEP);
        }
        true
    }

    fn signal(&self, signal: Signal) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.signal(signal))
    }

    /// The connection may be gone with the hypervisor; what counts is whether it ended.
    fn end(&self, client: Option<&mut (dyn Client + 'static)>) -> Result<Stopped, Error> {
        let told = client.is_some_and(|client| client.quit().is_ok());
        if !told {
            self.signal(Signal::TERM);
        }
        if self.wait(PATIENCE) {
            return Ok(Stopped::Quit);
        }
        if self.signal(Signal::KILL) && self.wait(PATIENCE) {
            return Ok(Stopped::Killed);
        }
        Err(Error::Immortal)
    }
}

fn has_agent_alone(control: &Control) -> bool {
    control.api == Api::None && control.agent.is_some()
}

/// A guest that is being asked.
struct Asking<'a> {
    running: &'a Running<'a>,
    client: Option<&'a mut (dyn Client + 'static)>,
    hurry: &'a AtomicBool,
}

impl Asking<'_> {
    /// Whether the guest ended in time. A paused guest cannot, so it is resumed.
    fn until(&mut self, deadline: Instant) -> Result<bool, Error> {
        if let Some(client) = &mut self.client
            && client.state().is_ok_and(|state| state == RunState::Paused)
        {
            let _ = client.resume();
        }
        while Instant::now() < deadline && !self.hurry.load(Ordering::Relaxed) {
            match self.ask() {
                Ok(()) => {}
                // It ended of itself, or was just told by an earlier press.
                Err(_) if self.running.wait(Duration::ZERO) => return Ok(true),
                // Still booting: it is asked again.
                Err(error) if error.is_for_now() => {}
                Err(error) if self.running.wait(PATIENCE) => {
                    tracing::debug!("the hypervisor ended while it was asked: {error}");
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
            if self.wait(deadline.min(Instant::now() + PRESS_AGAIN)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ask(&mut self) -> Result<(), Error> {
        match (&self.running.control.agent, &mut self.client) {
            (Some(agent), _) => Ok(agent::power_off(agent)?),
            (None, Some(client)) => client.power_down(),
            (None, None) => Err(Error::NoSocket),
        }
    }

    fn wait(&self, deadline: Instant) -> bool {
        const SLICE: Duration = Duration::from_millis(100);
        while !self.hurry.load(Ordering::Relaxed) {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.running.wait(left.min(SLICE)) {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
        false
    }
}
