//! Asks a running VM to stop, to give memory back, to pause; and says how it went.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backend::plan::Control;
use backend::qmp::{BalloonInfo, Command, Status};
use serde_json::Value;

use crate::kind::Kind;
use crate::qmp::{self, Qmp};

/// How long a guest has to shut itself down, unless somebody says otherwise.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the hypervisor has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A guest that is still booting misses the button; pressed again while it shuts down, systemd
/// does nothing more.
const PRESS_AGAIN: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The VM has no control socket; set `socket` in its definition")]
    NoSocket,
    #[error("The VM has no balloon; set `balloon = true` in its definition")]
    NoBalloon,
    #[error("The hypervisor still runs, though it was told to quit and was killed")]
    Immortal,
    #[error(transparent)]
    Qmp(#[from] qmp::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSocket | Self::NoBalloon => Kind::Definition,
            Self::Immortal => Kind::Hypervisor,
            Self::Qmp(error) => error.kind(),
        }
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

/// Presses the power button and waits at most `timeout` for the hypervisor's end, then ends it.
/// `hurry`, once true, stops the waiting.
pub fn shutdown(
    control: &Control,
    timeout: Duration,
    hurry: &AtomicBool,
) -> Result<Stopped, Error> {
    let mut qmp = match connect(control) {
        Err(Error::Qmp(qmp::Error::NotRunning { .. })) => return Ok(Stopped::NotRunning),
        other => other?,
    };
    if power_down(&mut qmp, timeout, hurry)? {
        return Ok(Stopped::Graceful);
    }
    // The connection may be gone with the hypervisor; what counts is whether it ended.
    let _ = qmp.execute::<Value>(Command::Quit);
    if qmp.wait_for_end(PATIENCE) {
        return Ok(Stopped::Quit);
    }
    if qmp.kill() && qmp.wait_for_end(PATIENCE) {
        return Ok(Stopped::Killed);
    }
    Err(Error::Immortal)
}

fn connect(control: &Control) -> Result<Qmp, Error> {
    match control {
        Control::None => Err(Error::NoSocket),
        Control::Qmp { socket } => Ok(Qmp::connect(socket, PATIENCE)?),
    }
}

/// Whether the guest ended in time. A paused guest cannot, so it is resumed.
fn power_down(qmp: &mut Qmp, timeout: Duration, hurry: &AtomicBool) -> Result<bool, Error> {
    let deadline = Instant::now() + timeout;
    let status = qmp.execute::<Status>(Command::QueryStatus);
    if status.is_ok_and(|status| status.status == "paused") {
        let _ = qmp.execute::<Value>(Command::Cont);
    }
    while Instant::now() < deadline && !hurry.load(Ordering::Relaxed) {
        match qmp.execute::<Value>(Command::SystemPowerdown) {
            Ok(_) => {}
            Err(qmp::Error::Ended) => return Ok(qmp.wait_for_end(PATIENCE)),
            Err(error) => return Err(error.into()),
        }
        let until = deadline.min(Instant::now() + PRESS_AGAIN);
        if wait_until(qmp, until, hurry) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn wait_until(qmp: &mut Qmp, deadline: Instant, hurry: &AtomicBool) -> bool {
    const SLICE: Duration = Duration::from_millis(100);
    while !hurry.load(Ordering::Relaxed) {
        let left = deadline.saturating_duration_since(Instant::now());
        if qmp.wait_for_end(left.min(SLICE)) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
    false
}

/// Ends the hypervisor at once, without asking the guest.
pub fn quit(control: &Control) -> Result<Stopped, Error> {
    shutdown(control, Duration::ZERO, &AtomicBool::new(true))
}

/// Sets the memory that the guest is left with and gives what it is left with, in MiB, after
/// at most 10 s: a guest gives memory back as fast as it can, and not more than it can spare.
pub fn balloon(control: &Control, size_mib: u64) -> Result<u64, Error> {
    const SETTLING: Duration = Duration::from_secs(10);
    const STEP: Duration = Duration::from_millis(100);
    let wanted = size_mib << 20;
    let mut qmp = connect(control)?;
    qmp.execute::<Value>(Command::Balloon { value: wanted })
        .map_err(balloon_error)?;
    let start = Instant::now();
    loop {
        let info: BalloonInfo = qmp.execute(Command::QueryBalloon).map_err(balloon_error)?;
        let actual = info.actual;
        if actual == wanted || start.elapsed() >= SETTLING {
            return Ok(actual >> 20);
        }
        std::thread::sleep(STEP);
    }
}

fn balloon_error(error: qmp::Error) -> Error {
    match error {
        qmp::Error::Refused(refusal) if refusal.class == "DeviceNotActive" => Error::NoBalloon,
        other => other.into(),
    }
}

/// The run state as QEMU names it: `running`, `paused`, `shutdown`…
pub fn status(control: &Control) -> Result<String, Error> {
    let status: Status = connect(control)?.execute(Command::QueryStatus)?;
    Ok(status.status)
}

pub fn pause(control: &Control) -> Result<(), Error> {
    command(control, Command::Stop)
}

pub fn resume(control: &Control) -> Result<(), Error> {
    command(control, Command::Cont)
}

fn command(control: &Control, command: Command) -> Result<(), Error> {
    let _: Value = connect(control)?.execute(command)?;
    Ok(())
}
