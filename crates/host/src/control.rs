//! Asks a running VM to stop, to give memory back, to pause; and says how it went.
//!
//! Paths are relative to the current directory, which is the state directory.

mod agent;
mod client;
mod cloud_hypervisor;
mod crosvm;
mod ending;
mod firecracker;
mod kvmtool;
mod qemu;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use backend::control::Control;

use crate::kind::Kind;
use crate::process::Process;
use crate::{qmp, rest};

pub use client::RunState;

/// How long a guest has to shut itself down, unless somebody says otherwise.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the hypervisor has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The VM has no control socket; set `socket` in its definition")]
    NoSocket,
    #[error("The VM has no balloon; set `balloon = true` in its definition")]
    NoBalloon,
    #[error("The hypervisor has no way to {verb}; `microvm hypervisors` shows which have")]
    Unsupported { verb: &'static str },
    #[error("`{vm}` does not run here")]
    NotRunning { vm: String },
    #[error("The hypervisor still runs, though it was told to quit and was killed")]
    Immortal,
    #[error(transparent)]
    Agent(#[from] agent::Error),
    #[error(transparent)]
    Qmp(#[from] qmp::Error),
    #[error(transparent)]
    Rest(#[from] rest::Error),
    #[error(transparent)]
    Crosvm(#[from] crosvm::Error),
    #[error(transparent)]
    Kvmtool(#[from] kvmtool::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSocket | Self::NoBalloon | Self::Unsupported { .. } => Kind::Definition,
            Self::NotRunning { .. } => Kind::NotFound,
            Self::Immortal => Kind::Hypervisor,
            Self::Agent(error) => error.kind(),
            Self::Qmp(error) => error.kind(),
            Self::Rest(error) => error.kind(),
            Self::Crosvm(error) => error.kind(),
            Self::Kvmtool(error) => error.kind(),
        }
    }

    /// It may be otherwise when asked again: the guest, or the hypervisor, is still starting.
    fn is_for_now(&self) -> bool {
        matches!(
            self,
            Self::Agent(_)
                | Self::Crosvm(crosvm::Error::Silent { .. })
                | Self::Kvmtool(kvmtool::Error::Silent { .. })
        )
    }

    /// Nobody is there to be spoken to.
    fn is_not_running(&self) -> bool {
        matches!(
            self,
            Self::NotRunning { .. }
                | Self::Qmp(qmp::Error::NotRunning { .. })
                | Self::Rest(rest::Error::NotRunning { .. })
                | Self::Crosvm(crosvm::Error::NotRunning { .. })
                | Self::Kvmtool(kvmtool::Error::NotRunning { .. })
        )
    }
}

/// How a VM came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// There was nothing to stop.
    NotRunning,
    /// The guest shut itself down.
    Graceful,
    /// It did not in time, and the hypervisor was told to quit.
    Quit,
    /// Neither did, and the process was killed.
    Killed,
}

impl Stopped {
    /// Whether the guest lost the chance to end in order.
    pub fn is_escalated(self) -> bool {
        matches!(self, Self::Quit | Self::Killed)
    }
}

/// Asks the guest to power off and waits at most `timeout` for the hypervisor's end, then ends
/// it. `hurry`, once true, stops the waiting.
pub fn shutdown(
    control: &Control,
    timeout: Duration,
    hurry: &AtomicBool,
) -> Result<Stopped, Error> {
    ending::shutdown(control, timeout, hurry)
}

/// Ends the hypervisor at once, without asking the guest.
pub fn quit(control: &Control) -> Result<Stopped, Error> {
    shutdown(control, Duration::ZERO, &AtomicBool::new(true))
}

/// Sets the memory that the guest is left with and gives what it is left with, in MiB, after
/// at most 10 s: a guest gives memory back as fast as it can, and not more than it can spare.
/// `None` where the hypervisor does not tell.
pub fn balloon(control: &Control, size_mib: u64) -> Result<Option<u64>, Error> {
    const SETTLING: Duration = Duration::from_secs(10);
    const STEP: Duration = Duration::from_millis(100);
    let mut client = client::connect(control)?;
    client.set_balloon(size_mib)?;
    let start = Instant::now();
    loop {
        let actual = match client.balloon() {
            Ok(actual) => actual,
            Err(Error::Unsupported { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if actual == size_mib || start.elapsed() >= SETTLING {
            return Ok(Some(actual));
        }
        std::thread::sleep(STEP);
    }
}

/// What a VM is doing.
pub fn state(control: &Control) -> Result<RunState, Error> {
    client::connect(control)?.state()
}

pub fn pause(control: &Control) -> Result<(), Error> {
    client::connect(control)?.pause()
}

pub fn resume(control: &Control) -> Result<(), Error> {
    client::connect(control)?.resume()
}

/// What can be told of a VM; what its hypervisor does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub state: RunState,
    pub pid: Option<u32>,
    pub uptime: Option<Duration>,
    /// Memory that the guest is left with, in MiB.
    pub memory_mib: Option<u64>,
    /// Memory of the host that the hypervisor's process holds, in MiB.
    pub resident_mib: Option<u64>,
}

/// Gives this thread a current directory of its own, so that VMs in several can be asked at once.
pub fn with_own_directory() -> std::io::Result<()> {
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)?)
}

/// Asks process and hypervisor; a VM that does not run is [`RunState::Stopped`].
pub fn status(control: &Control) -> Status {
    let process = Process::of_lock(Path::new("."), &control.vm);
    let (state, memory_mib) = match client::connect(control) {
        Ok(mut client) => (
            client.state().unwrap_or(RunState::Unknown),
            client.balloon().ok(),
        ),
        // Where nobody can ask, nobody can pause it either.
        Err(Error::NoSocket) if process.is_some() => (RunState::Running, None),
        Err(_) if process.is_some() => (RunState::Unknown, None),
        Err(_) => (RunState::Stopped, None),
    };
    let proc = Path::new("/proc");
    Status {
        state,
        memory_mib,
        pid: process.as_ref().map(Process::pid),
        uptime: process.as_ref().and_then(|process| process.uptime(proc)),
        resident_mib: process.and_then(|process| process.resident_mib(proc)),
    }
}
