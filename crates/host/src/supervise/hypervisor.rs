//! The child that becomes the hypervisor.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Error, Run};
use crate::spawn;

/// A running `microvm-run`; killed when it is dropped before it ended.
pub struct Hypervisor {
    child: Child,
    status: Option<ExitStatus>,
    tail: Arc<Mutex<VecDeque<String>>>,
    drained: Receiver<()>,
}

/// Lines of stderr that are kept for a message.
const KEPT: usize = 40;

impl Hypervisor {
    /// `program` is absolute.
    pub fn start(run: &Run<'_>, program: &Path) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command.args(run.args).stderr(Stdio::piped());
        let terminal = std::io::stdin().is_terminal();
        if terminal && !run.console_on_stdin {
            command.stdin(Stdio::null());
        }
        if !(terminal && run.console_on_stdin) {
            // Else a Ctrl-C at the terminal would reach QEMU, which would quit at once.
            command.process_group(0);
        }
        spawn::with_all_signals(&mut command);
        spawn::die_with_parent(&mut command);
        let spawned = command.spawn();
        let mut child = spawned.map_err(|source| Error::Run {
            program: program.to_owned(),
            source,
        })?;
        let tail = Arc::default();
        let stderr = child.stderr.take().expect("stderr was piped");
        let drained = follow(stderr, Arc::clone(&tail));
        Ok(Self {
            child,
            status: None,
            tail,
            drained,
        })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        if self.status.is_none() {
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// The last lines of its stderr, once it has ended.
    pub fn last_words(&self) -> String {
        // What it started may still hold the pipe.
        if let Err(RecvTimeoutError::Timeout) =
            self.drained.recv_timeout(Duration::from_millis(300))
        {
            tracing::debug!("stderr of the hypervisor is still open after its end");
        }
        let tail = self
            .tail
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        tail.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Hypervisor {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Passes stderr on and keeps its end.
fn follow(stderr: ChildStderr, tail: Arc<Mutex<VecDeque<String>>>) -> Receiver<()> {
    let (done, drained) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            let _ = std::io::stderr().write_all(&line);
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut tail = tail
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if tail.len() == KEPT {
                tail.pop_front();
            }
            tail.push_back(text);
            line.clear();
        }
        drop(done);
    });
    drained
}
