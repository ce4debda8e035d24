//! Does with a VM what the commands do, by those commands: what they say is what is said here.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use super::row::Row;
use super::signals::Signals;
use super::state::{Id, Verb, id};
use super::vms::Place;
use crate::error::{Kind, OrKind, Result};

/// Lines of a log that are shown before what comes.
const LINES: &str = "200";

/// Between two looks at a command that runs.
const STEP: Duration = Duration::from_millis(50);

/// A command that goes on while the view is there, and after it.
pub struct Background {
    pub id: Id,
    pub verb: Verb,
    child: Child,
    said: File,
}

impl Background {
    pub fn start(verb: Verb, row: &Row) -> Result<Self> {
        let mut command = command(verb, row)?;
        // A file, for what a VM's keeper holds on to would never come to an end as a pipe.
        let said = tempfile::tempfile().or_kind(Kind::Storage)?;
        let stderr = said.try_clone().or_kind(Kind::Storage)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // Not to be stopped or interrupted with the view.
        command.stderr(stderr).process_group(0);
        let child = command.spawn().or_kind(Kind::Other)?;
        Ok(Self {
            id: id(row),
            verb,
            child,
            said,
        })
    }

    /// What it said, once it has ended.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let mut text = String::new();
        let read = self.said.rewind();
        let _ = read.and_then(|()| self.said.read_to_string(&mut text));
        Some(match one_line(&text) {
            said if said.is_empty() => format!("`{}`: {status}", self.id.1),
            said => said,
        })
    }
}

/// Without the names before the lines, which are for a terminal with other programs on it.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.map(|line| line.strip_prefix("microvm: ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("; ")
}

/// Has the terminal until it ends; then the person has read what it said.
pub fn in_front(verb: Verb, row: &Row, signals: &Signals) -> Result<()> {
    let mut child = command(verb, row)?.spawn().or_kind(Kind::Other)?;
    let status = wait(&mut child, signals)?;
    // Who interrupts a log has seen enough of it.
    let enough = status.signal() == Some(signal_hook::consts::SIGINT);
    // Ctrl-C was the command's.
    signals.interrupted();
    if signals.end() || enough || (verb == Verb::Console && status.success()) {
        return Ok(());
    }
    wait_for_enter(signals)
}

fn wait(child: &mut Child, signals: &Signals) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().or_kind(Kind::Other)? {
            return Ok(status);
        }
        if signals.end() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            return child.wait().or_kind(Kind::Other);
        }
        if signals.stopped() {
            Signals::stop_here();
        }
        std::thread::sleep(STEP);
    }
}

fn wait_for_enter(signals: &Signals) -> Result<()> {
    let stdin = std::io::stdin();
    eprint!("microvm: Enter goes back to all VMs");
    let _ = std::io::stderr().flush();
    while !signals.end() && !signals.interrupted() && stdin.is_terminal() {
        if signals.stopped() {
            Signals::stop_here();
        }
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if matches!(poll(&mut fds, 100_u8), Ok(ready) if ready > 0) {
            return stdin
                .read_line(&mut String::new())
                .map(drop)
                .or_kind(Kind::Other);
        }
    }
    Ok(())
}

fn command(verb: Verb, row: &Row) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().or_kind(Kind::Other)?);
    command.args(words(verb, row.place)).arg(&row.name);
    let state = match row.place {
        Place::Installed => row.dir.parent().unwrap_or(Path::new("/")),
        Place::Run | Place::Strange => &row.dir,
    };
    command.arg("--state-dir").arg(state);
    Ok(command)
}

fn words(verb: Verb, place: Place) -> &'static [&'static str] {
    match (verb, place) {
        (Verb::Start, _) => &["start"],
        (Verb::Stop, Place::Installed) => &["stop"],
        (Verb::Stop, Place::Run | Place::Strange) => &["shutdown"],
        (Verb::Console, _) => &["console"],
        (Verb::Logs, _) => &["logs", "--follow", "--lines", LINES],
    }
}
