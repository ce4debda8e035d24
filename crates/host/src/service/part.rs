//! A process of a VM that its keeper starts and does not take along: its number is in a lock that
//! it holds, so whoever comes next finds it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};
use spec::names::VmName;

use super::{Account, Error, PART_COMMAND};
use crate::lock::RunLock;
use crate::process::Process;
use crate::spawn;

/// What a VM consists of on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Hypervisor,
    Shares,
    Keeper,
}

impl Part {
    /// Of its lock in the directory `run`; a name of a VM has no colon.
    pub fn lock_name(self, name: &VmName) -> String {
        let part = match self {
            Self::Hypervisor => "hypervisor",
            Self::Shares => "shares",
            Self::Keeper => "keeper",
        };
        format!("{name}:{part}")
    }

    /// The process, where it runs.
    pub fn process(self, run: &Path, name: &VmName) -> Option<Process> {
        Process::of_lock(run, &self.lock_name(name))
    }
}

/// What a process is told that becomes a part.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    pub run: PathBuf,
    pub lock: String,
    pub program: PathBuf,
    pub account: Option<Account>,
}

impl Told {
    /// Starts it in the current directory; its words go where ours go.
    pub fn start(&self, own: &Path, notify_socket: Option<&str>) -> Result<Child, Error> {
        let failed = |source| Error::Run {
            program: own.to_owned(),
            source,
        };
        let told = serde_json::to_string(self).map_err(|error| failed(error.into()))?;
        let mut command = Command::new(own);
        command.arg(PART_COMMAND).arg(told).stdin(Stdio::null());
        match notify_socket {
            Some(socket) => command.env("NOTIFY_SOCKET", socket),
            None => command.env_remove("NOTIFY_SOCKET"),
        };
        // What the keeper says goes to who started it; what the VM says, to its log.
        let log = std::io::stderr();
        let log = std::os::fd::AsFd::as_fd(&log).try_clone_to_owned();
        command.stdout(log.map_err(failed)?);
        spawn::with_all_signals(&mut command);
        command.process_group(0).spawn().map_err(failed)
    }
}

/// Takes the lock and becomes the program. Returns only where it failed.
pub fn part_main(told: &str) -> ExitCode {
    let error = match serde_json::from_str(told) {
        Ok(told) => become_part(&told),
        Err(error) => error.to_string(),
    };
    eprintln!("microvm: {error}");
    ExitCode::FAILURE
}

fn become_part(told: &Told) -> String {
    let lock = match RunLock::take(&told.run, &told.lock) {
        Ok(lock) => lock,
        Err(error) => return error.to_string(),
    };
    let _lock = match lock.leave_to_exec() {
        Ok(lock) => lock,
        Err(error) => return error.to_string(),
    };
    if let Some(account) = told.account
        && let Err(error) = account.assume()
    {
        return format!("The user of hypervisors cannot be assumed: {error}");
    }
    let error = Command::new(&told.program).exec();
    format!("`{}` cannot be run: {error}", told.program.display())
}
