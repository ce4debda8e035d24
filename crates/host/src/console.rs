//! The guest's console as something that outlives whoever looks at it: the hypervisor has a
//! pseudo-terminal, and a small process of ours keeps its other end, joined to the standard input
//! and output that the VM was started with, and to everybody who attaches later.

mod agent_port;
mod attach;
mod clients;
mod escape;
mod events;
mod halt;
mod keeper;
mod outlet;
pub(crate) mod raw;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use backend::plan::{Console, Leaving, Plan};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

pub use attach::{Error as AttachError, Left, attach};
pub use keeper::{ENDED_AT_CONSOLE, keeper_main};

/// The `microvm` binary's own command that starts a keeper.
pub const KEEPER_COMMAND: &str = "console-keeper";

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Name of the VM.
    pub vm: String,
    /// The descriptor of the pseudo-terminal's other end.
    pub master: i32,
    /// Process of the hypervisor.
    pub hypervisor: u32,
    /// Whether `Ctrl-a` is ours to read; else the hypervisor reads it.
    pub escape: bool,
    /// Whether the hypervisor has another pseudo-terminal, which leads to the guest's agent.
    pub agent: bool,
    /// Whether the hypervisor runs on when its guest has halted.
    pub halts: bool,
    /// The descriptor on which the hypervisor tells that it restarts its guest in place.
    pub events: Option<i32>,
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
pub fn keep(program: &Path, plan: &Plan) -> Result<Option<Ends>, Error> {
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
    let mut inherited = vec![out_of_the_way(pair.master).map_err(Error::Terminal)?];
    let mut events = None;
    if let Leaving::Restarts { events_fd } = plan.leaving {
        let (read, write) = events_pipe(events_fd).map_err(Error::Start)?;
        inherited.push(read);
        events = Some(write);
    }
    let kept = Kept {
        vm: plan.control.vm.clone(),
        master: inherited[0].as_raw_fd(),
        hypervisor: std::process::id(),
        escape,
        agent,
        halts: plan.leaving == Leaving::RunsOn,
        events: inherited.get(1).map(AsRawFd::as_raw_fd),
    };
    start(program, &kept, &inherited).map_err(Error::Start)?;
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

fn start(program: &Path, kept: &Kept, inherited: &[OwnedFd]) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command
        .arg(KEEPER_COMMAND)
        .arg(serde_json::to_string(kept)?);
    // Nothing of the keeper's may end up among the hypervisor's last words.
    command.stderr(Stdio::null());
    // Its mask of signals is ours, which holds none back; it ignores those that are not for it.
    for fd in inherited {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    // From the first moment: what the guest says before the keeper runs waits in the terminal.
    let child = command.spawn();
    for fd in inherited {
        fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    }
    child
}

/// An end that a keeper was given.
fn inherited(number: i32) -> std::io::Result<File> {
    // Through /proc, for a number alone proves no ownership; a terminal's other end cannot be
    // opened anew, so it is duplicated.
    let fd = duplicate(number)?;
    rustix::fs::fcntl_setfl(&fd, rustix::fs::OFlags::NONBLOCK)?;
    Ok(File::from(fd))
}

#[expect(
    unsafe_code,
    reason = "a descriptor that was inherited is known by its number alone"
)]
fn duplicate(number: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: the number is only borrowed, for one dup(2), which fails where nothing is open.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    let own = borrowed.try_clone_to_owned()?;
    // SAFETY: nobody else in this process has the number; closing it ends the inheritance.
    drop(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) });
    Ok(own)
}
