//! The guest's agent behind a serial port that kvmtool gives a pseudo-terminal of its own.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// One client at a time is joined to the agent.
pub struct AgentPort {
    pub listener: UnixListener,
    /// `None` until the hypervisor has made it.
    pub terminal: Option<File>,
    pub client: Option<UnixStream>,
}

impl AgentPort {
    pub fn new(listener: UnixListener) -> Self {
        Self {
            listener,
            terminal: None,
            client: None,
        }
    }

    /// Opens the terminal as soon as the hypervisor has it. Until somebody has it open,
    /// kvmtool's thread that reads terminals spins on the hang-up.
    pub fn look_for_terminal(&mut self, proc: &Path, hypervisor: u32, console: Option<u32>) {
        if self.terminal.is_none() {
            let index = terminals_of(proc, hypervisor)
                .into_iter()
                .find(|index| Some(*index) != console);
            self.terminal = index.and_then(|index| open(index).ok());
        }
    }

    /// Takes the next client, where there is none.
    pub fn accept(&mut self) {
        let (None, Some(terminal), Ok((client, _))) =
            (&self.client, &mut self.terminal, self.listener.accept())
        else {
            return;
        };
        if client.set_nonblocking(true).is_ok() {
            // Answers that an earlier client did not wait for.
            let mut late = [0; 1024];
            while matches!(terminal.read(&mut late), Ok(count) if count > 0) {}
            self.client = Some(client);
        }
    }

    /// Passes on what the client says.
    pub fn hear_client(&mut self) {
        let (Some(client), Some(terminal)) = (&mut self.client, &mut self.terminal) else {
            return;
        };
        if !pass(client, terminal) {
            self.client = None;
        }
    }

    /// Passes on what the agent says.
    pub fn hear_agent(&mut self) {
        let Some(terminal) = &mut self.terminal else {
            return;
        };
        let passed = match &mut self.client {
            Some(client) => pass(terminal, client),
            None => terminal.read(&mut [0; 1024]).is_ok_and(|count| count > 0),
        };
        if !passed && self.client.is_some() {
            self.client = None;
        }
    }
}

/// Lines are short: what does not fit at once is lost, and asked for again.
fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 1024];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => to.write_all(&buffer[..count]).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

/// Numbers of the pseudo-terminals that a process holds the other ends of. The kernel tells them
/// in fdinfo (`tty-index`, since Linux 4.14).
pub fn terminals_of(proc: &Path, process: u32) -> Vec<u32> {
    let base = proc.join(process.to_string());
    let entries = std::fs::read_dir(base.join("fd")).into_iter().flatten();
    let is_master = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|target| target.ends_with("ptmx"))
    };
    entries
        .flatten()
        .filter(is_master)
        .filter_map(|entry| {
            let info = std::fs::read_to_string(base.join("fdinfo").join(entry.file_name())).ok()?;
            let mut lines = info.lines();
            let index = lines.find_map(|line| line.strip_prefix("tty-index:"))?;
            index.trim().parse().ok()
        })
        .collect()
}

fn open(index: u32) -> std::io::Result<File> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(format!("/dev/pts/{index}"))?;
    let mut modes = tcgetattr(&terminal)?;
    cfmakeraw(&mut modes);
    tcsetattr(&terminal, SetArg::TCSANOW, &modes)?;
    Ok(terminal)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn terminals_are_told_by_the_kernel() {
        let proc = tempfile::tempdir().unwrap();
        let base = proc.path().join("7");
        for directory in ["fd", "fdinfo"] {
            std::fs::create_dir_all(base.join(directory)).unwrap();
        }
        for (number, target, info) in [
            ("0", "/dev/pts/3", "pos:\t0\n"),
            ("5", "/dev/ptmx", "pos:\t0\nflags:\t02\ntty-index:\t4\n"),
            ("6", "/dev/pts/ptmx", "tty-index:\t9\n"),
        ] {
            symlink(target, base.join("fd").join(number)).unwrap();
            std::fs::write(base.join("fdinfo").join(number), info).unwrap();
        }
        let mut found = terminals_of(proc.path(), 7);
        found.sort_unstable();
        assert_eq!(found, [4, 9]);
        assert!(terminals_of(proc.path(), 8).is_empty());
    }
}
