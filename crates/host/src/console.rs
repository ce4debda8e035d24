//! The guest's console as something that outlives whoever looks at it: the hypervisor has a
//! pseudo-terminal, and a small process of ours keeps its other end, joined to the standard input
//! and output that the VM was started with, and to everybody who attaches later.

mod agent_port;
mod attach;
mod birth;
mod clients;
mod escape;
mod events;
mod halt;
mod keeper;
mod outlet;
pub(crate) mod raw;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use backend::plan::{Console, Leaving, Plan};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::io::fcntl_dupfd_cloexec;

use crate::kind::Kind;

pub use attach::{Error as AttachError, Left, attach};
use birth::Birth;
pub use keeper::ENDED_AT_CONSOLE;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No pseudo-terminal for the guest's console")]
    Terminal(#[source] std::io::Error),
    #[error("The process that keeps the guest's console cannot be started")]
    Start(#[source] std::io::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        Kind::Other
    }
}

/// What a keeper is told.
#[derive(Debug)]
struct Kept {
    /// Name of the VM.
    vm: String,
    /// The pseudo-terminal's other end.
    master: File,
    /// Process of the hypervisor.
    hypervisor: u32,
    /// Whether `Ctrl-a` is ours to read; else the hypervisor reads it.
    escape: bool,
    /// Whether the hypervisor has another pseudo-terminal, which leads to the guest's agent.
    agent: bool,
    /// Whether the hypervisor runs on when its guest has halted.
    halts: bool,
    /// Where the hypervisor tells that it restarts its guest in place.
    events: Option<File>,
}

/// Where a VM's console is attached to, relative to the state directory.
pub fn socket_of(vm: &str) -> PathBuf {
    PathBuf::from(format!("{vm}-console.sock"))
}

/// Where the agent is reached that sits behind a pseudo-terminal of the hypervisor's.
pub fn agent_socket_of(vm: &str) -> PathBuf {
    PathBuf::from(format!("{vm}-agent.sock"))
}

/// Starts the keeper for the process that this one becomes, and gives the hypervisor's ends: its
/// standard input and output, and where it tells of events.
pub fn keep(plan: &Plan) -> Result<Option<Ends>, Error> {
    let (escape, agent) = match plan.console {
        Console::None => return Ok(None),
        Console::Plain => (true, false),
        Console::Mux => (false, false),
        Console::WithAgent => (false, true),
    };
    let terminal = |error: nix::Error| Error::Terminal(error.into());
    let pair = openpty(None, None).map_err(terminal)?;
    // What passes is the guest's: neither echoed nor translated here.
    let mut modes = tcgetattr(&pair.slave).map_err(terminal)?;
    cfmakeraw(&mut modes);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &modes).map_err(terminal)?;
    let slave = out_of_the_way(pair.slave).map_err(Error::Terminal)?;
    let master = out_of_the_way(pair.master).map_err(Error::Terminal)?;
    let (told, events) = match plan.leaving {
        Leaving::Restarts { events_fd } => {
            let (read, write) = events_pipe(events_fd).map_err(Error::Start)?;
            (Some(read.into()), Some(write))
        }
        Leaving::WithGuest | Leaving::AfterItsChildren | Leaving::RunsOn => (None, None),
    };
    let birth = match plan.leaving {
        Leaving::AfterItsChildren => Birth::Orphan,
        Leaving::WithGuest | Leaving::RunsOn | Leaving::Restarts { .. } => Birth::Child,
    };
    let kept = Kept {
        vm: plan.control.vm.clone(),
        master: master.into(),
        hypervisor: std::process::id(),
        escape,
        agent,
        halts: plan.leaving == Leaving::RunsOn,
        events: told,
    };
    // From the first moment: what the guest says before the keeper runs waits in the terminal.
    birth::start(kept, birth).map_err(Error::Start)?;
    Ok(Some(Ends { slave, events }))
}

/// What the hypervisor gets of a console.
#[derive(Debug)]
pub struct Ends {
    pub slave: OwnedFd,
    /// At the number that the plan says.
    pub events: Option<OwnedFd>,
}

fn events_pipe(wanted: i32) -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let placed = fcntl_dupfd_cloexec(&write, wanted)?;
    if placed.as_raw_fd() != wanted {
        return Err(std::io::ErrorKind::ResourceBusy.into());
    }
    Ok((out_of_the_way(read)?, placed))
}

/// Descriptors of [`openpty`] are inherited by every program; these are not.
fn out_of_the_way(fd: OwnedFd) -> std::io::Result<OwnedFd> {
    const OUT_OF_THE_WAY: i32 = 300;
    Ok(fcntl_dupfd_cloexec(&fd, OUT_OF_THE_WAY)?)
}
