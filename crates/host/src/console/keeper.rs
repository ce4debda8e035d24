//! The process that keeps a guest's console while its hypervisor runs, and ends with it.
//!
//! It never waits for a reader: what nobody takes in time is dropped, oldest first.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::agent_port::AgentPort;
use super::clients::{Clients, WAITING};
use super::escape::Escape;
use super::events::Events;
use super::halt::{Halt, processors_ran_ns};
use super::outlet::{Waiting, Wrote};
use super::{Kept, agent_socket_of, raw, socket_of};
use crate::socket;

/// Exit code where a person at the console asked for the end.
pub const ENDED_AT_CONSOLE: u8 = 3;

/// What who attaches later sees first.
const REMEMBERED: usize = 64 << 10;
/// What waits for a guest that does not read.
const TYPED: usize = 16 << 10;

/// Longest from the end that a person asked for to SIGKILL.
const END_TIME: Duration = Duration::from_secs(3);
/// Longest that the last words may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Keeps a console until its hypervisor has ended; gives the process's exit code.
pub fn run(kept: Kept) -> u8 {
    match Keeper::new(kept).and_then(Keeper::run) {
        Ok(true) => ENDED_AT_CONSOLE,
        Ok(false) => 0,
        Err(_) => 1,
    }
}

struct Keeper {
    vm: String,
    pid: u32,
    master: File,
    hypervisor: OwnedFd,
    console: Option<u32>,
    listener: Option<UnixListener>,
    /// `None` once nothing more comes.
    input: Option<File>,
    output: Option<File>,
    remembered: Waiting,
    printed: Waiting,
    typed: Waiting,
    escape: Option<Escape>,
    clients: Clients,
    agent: Option<AgentPort>,
    halt: Option<Halt>,
    events: Option<Events>,
    /// When the end was asked for, by a person or by what the guest did.
    ending: Option<Instant>,
    at_console: bool,
}

impl Keeper {
    fn new(kept: Kept) -> std::io::Result<Self> {
        ignore_signals()?;
        let pid = i32::try_from(kept.hypervisor).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(ErrorKind::InvalidInput)?;
        let hypervisor = pidfd_open(pid, PidfdFlags::empty())?;
        for file in std::iter::once(&kept.master).chain(&kept.events) {
            rustix::fs::fcntl_setfl(file, rustix::fs::OFlags::NONBLOCK)?;
        }
        Ok(Self {
            console: index_of(&kept.master),
            listener: listen(&socket_of(&kept.vm)),
            agent: kept
                .agent
                .then(|| listen(&agent_socket_of(&kept.vm)).map(AgentPort::new))
                .flatten(),
            input: own(std::io::stdin().as_fd()),
            output: own(std::io::stdout().as_fd()),
            escape: kept.escape.then(Escape::default),
            halt: kept.halts.then(Halt::default),
            events: kept.events.map(Events::new),
            vm: kept.vm,
            pid: kept.hypervisor,
            master: kept.master,
            hypervisor,
            remembered: Waiting::default(),
            printed: Waiting::default(),
            typed: Waiting::default(),
            clients: Clients::default(),
            ending: None,
            at_console: false,
        })
    }

    /// Until the hypervisor has ended; says whether a person asked for that.
    fn run(mut self) -> std::io::Result<bool> {
        let _raw = raw::Raw::of_stdin();
        while self.turn()? {}
        self.last_words();
        let _ = std::fs::remove_file(socket_of(&self.vm));
        if self.agent.is_some() {
            let _ = std::fs::remove_file(agent_socket_of(&self.vm));
        }
        Ok(self.at_console)
    }

    /// Waits for something to do and does it; says whether the hypervisor still runs.
    fn turn(&mut self) -> std::io::Result<bool> {
        let events = self.wait()?;
        let has = |what: What| events.iter().any(|(source, _)| *source == what);
        if has(What::Master) {
            self.read_guest();
        }
        if has(What::Typed) && self.typed.write_to(&self.master) == Wrote::Gone {
            self.typed.clear();
        }
        if has(What::Input) {
            self.read_input();
        }
        if has(What::Output) {
            self.print();
        }
        if has(What::Listener) {
            self.accept();
        }
        for (source, flags) in &events {
            if let What::Client(index) = source {
                let typed = self.clients.serve(*index, *flags);
                self.typed.push(&typed, TYPED);
            }
        }
        self.clients.forget_gone();
        self.attend_agent(&events);
        if has(What::Events) {
            self.read_events();
        }
        self.look_for_halt();
        self.insist();
        Ok(!has(What::Hypervisor))
    }

    fn wait(&self) -> std::io::Result<Vec<(What, PollFlags)>> {
        let mut sources: Vec<(What, BorrowedFd<'_>, PollFlags)> = vec![
            (What::Hypervisor, self.hypervisor.as_fd(), PollFlags::IN),
            (What::Master, self.master.as_fd(), PollFlags::IN),
        ];
        if !self.typed.is_empty() {
            sources.push((What::Typed, self.master.as_fd(), PollFlags::OUT));
        }
        if let Some(input) = self.input.as_ref().filter(|_| self.typed.len() < TYPED) {
            sources.push((What::Input, input.as_fd(), PollFlags::IN));
        }
        if let Some(output) = self.output.as_ref().filter(|_| !self.printed.is_empty()) {
            sources.push((What::Output, output.as_fd(), PollFlags::OUT));
        }
        if let Some(listener) = &self.listener {
            sources.push((What::Listener, listener.as_fd(), PollFlags::IN));
        }
        let clients = self.clients.awaited().enumerate();
        sources.extend(clients.map(|(index, (fd, flags))| (What::Client(index), fd, flags)));
        if let Some(events) = &self.events {
            sources.push((What::Events, events.pipe.as_fd(), PollFlags::IN));
        }
        if let Some(agent) = &self.agent {
            match &agent.client {
                None => sources.push((What::AgentCaller, agent.listener.as_fd(), PollFlags::IN)),
                Some(client) => {
                    sources.push((What::AgentClient, client.as_fd(), PollFlags::IN));
                }
            }
            if let Some(terminal) = &agent.terminal {
                sources.push((What::Agent, terminal.as_fd(), PollFlags::IN));
            }
        }
        let mut fds: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        let timeout = self.patience().and_then(|p| Timespec::try_from(p).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            other => other?,
        };
        let ready = sources.iter().zip(&fds);
        Ok(ready
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|((what, _, _), fd)| (*what, fd.revents()))
            .collect())
    }

    /// For ever, unless there is something to look after.
    fn patience(&self) -> Option<Duration> {
        let seeks = self.agent.as_ref().is_some_and(|a| a.terminal.is_none());
        if seeks || self.ending.is_some() {
            Some(Duration::from_millis(20))
        } else {
            self.may_have_halted().then_some(Duration::from_millis(500))
        }
    }

    fn may_have_halted(&self) -> bool {
        self.halt.is_some() && Halt::is_said(&self.remembered.end(256))
    }

    /// A guest that halts ends its VM, as one that powers off.
    fn look_for_halt(&mut self) {
        if !self.may_have_halted() {
            self.halt = self.halt.take().map(|_| Halt::default());
            return;
        }
        let ran = processors_ran_ns(Path::new("/proc"), self.pid);
        if let (Some(halt), Some(ran)) = (&mut self.halt, ran)
            && halt.stands_still(ran, Instant::now())
        {
            self.end();
        }
    }

    /// A guest that restarts ends its VM: it is started anew by whoever started it.
    fn read_events(&mut self) {
        match self.events.as_mut().map(Events::read) {
            Some(Some(true)) => self.end(),
            Some(None) => self.events = None,
            _ => {}
        }
    }

    fn end(&mut self) {
        if self.ending.is_none() {
            self.ending = Some(Instant::now());
            let _ = pidfd_send_signal(&self.hypervisor, rustix::process::Signal::TERM);
        }
    }

    fn read_guest(&mut self) {
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(count) if count > 0 => self.said(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The hypervisor closed its end: its own end is about to be seen.
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }

    fn said(&mut self, bytes: &[u8]) {
        self.remembered.push(bytes, REMEMBERED);
        if self.output.is_some() {
            self.printed.push(bytes, WAITING);
        }
        self.clients.told(bytes);
    }

    fn read_input(&mut self) {
        let mut buffer = [0; 1024];
        let read = self.input.as_mut().map(|input| input.read(&mut buffer));
        match read {
            Some(Ok(count)) if count > 0 => self.type_in(&buffer[..count]),
            Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            _ => self.input = None,
        }
    }

    fn type_in(&mut self, bytes: &[u8]) {
        let Some(escape) = &mut self.escape else {
            self.typed.push(bytes, TYPED);
            return;
        };
        let typed = escape.read(bytes);
        self.typed.push(&typed.bytes, TYPED);
        if typed.end {
            self.at_console = true;
            self.end();
        }
    }

    /// An end that was asked for comes, whatever the hypervisor makes of SIGTERM.
    fn insist(&self) {
        if self.ending.is_some_and(|since| since.elapsed() > END_TIME) {
            let _ = pidfd_send_signal(&self.hypervisor, rustix::process::Signal::KILL);
        }
    }

    fn print(&mut self) {
        if let Some(output) = &self.output
            && self.printed.write_to(output) == Wrote::Gone
        {
            self.output = None;
            self.printed.clear();
        }
    }

    fn accept(&mut self) {
        if let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) {
            self.clients.attach(stream, &self.remembered.contents());
        }
    }

    fn attend_agent(&mut self, events: &[(What, PollFlags)]) {
        let Some(agent) = &mut self.agent else { return };
        agent.look_for_terminal(Path::new("/proc"), self.pid, self.console);
        for (source, _) in events {
            match source {
                What::AgentCaller => agent.accept(),
                What::AgentClient => agent.hear_client(),
                What::Agent => agent.hear_agent(),
                _ => {}
            }
        }
    }

    /// What the guest said last is in the terminal still, and perhaps on its way to a reader.
    fn last_words(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.master.read(&mut buffer) {
            self.said(&buffer[..count]);
        }
        let deadline = Instant::now() + LAST_WORDS;
        while self.output.is_some() && !self.printed.is_empty() && Instant::now() < deadline {
            let ready = self.output.as_ref().is_some_and(|output| {
                let mut fds = [PollFd::new(output, PollFlags::OUT)];
                let step = Timespec::try_from(Duration::from_millis(50)).ok();
                matches!(poll(&mut fds, step.as_ref()), Ok(count) if count > 0)
            });
            if ready {
                self.print();
            }
        }
        self.clients.take_leave();
    }
}

/// What something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Hypervisor,
    Master,
    Typed,
    Input,
    Output,
    Listener,
    Client(usize),
    AgentCaller,
    AgentClient,
    Agent,
    Events,
}

/// Signals of the terminal and of service managers are the hypervisor's: it ends, then we do.
fn ignore_signals() -> std::io::Result<()> {
    let ours = [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGPIPE,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ];
    for wanted in ours {
        #[expect(unsafe_code, reason = "nix marks every change of a handler")]
        // SAFETY: to ignore a signal runs no code of ours.
        unsafe { signal(wanted, SigHandler::SigIgn) }?;
    }
    Ok(())
}

/// A listener for the owner alone: who reaches a console may be root in the guest.
fn listen(path: &Path) -> Option<UnixListener> {
    socket::remove_stale(path).ok()?;
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(before);
    let listener = listener.ok()?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).ok()?;
    listener.set_nonblocking(true).ok()?;
    Some(listener)
}

fn own(fd: BorrowedFd<'_>) -> Option<File> {
    fd.try_clone_to_owned().ok().map(File::from)
}

/// The kernel's number of the console's own terminal.
fn index_of(master: &File) -> Option<u32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", master.as_raw_fd())).ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("tty-index:"))?;
    line.trim().parse().ok()
}
