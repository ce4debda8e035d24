//! The dnsmasq of a network: a unit where systemd looks after VMs, else a process of ours that
//! keeps it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Error;
use super::dnsmasq::Files;
use super::keeper::{KEEPER_COMMAND, Told};
use crate::process::Process;
use crate::service::Systemd;
use crate::{program, spawn};

/// What keeps it.
#[derive(Debug)]
pub enum Server {
    Systemd(Systemd),
    Own(Own),
}

/// A process of ours for each network.
#[derive(Debug)]
pub struct Own {
    /// The `microvm` binary.
    pub program: PathBuf,
    /// Where its lock is.
    pub run: PathBuf,
    /// Where what it says goes.
    pub logs: PathBuf,
}

/// Longest that it may take to end: it has nothing to save.
const STOP: Duration = Duration::from_secs(5);

impl Server {
    /// Starts it, or starts it anew where it has another configuration.
    pub fn start(&self, name: &str, files: &Files) -> Result<(), Error> {
        if is_current(files) && self.is_kept(name) {
            return Ok(());
        }
        match self {
            Self::Systemd(systemd) => {
                // The network's own unit may just be starting it.
                start_unit(systemd, "start", name)?;
                match is_current(files) {
                    true => Ok(()),
                    false => start_unit(systemd, "restart", name),
                }
            }
            Self::Own(own) => {
                self.stop(name, files)?;
                own.start(name, files)
            }
        }
    }

    /// Stops it; one that does not run is fine.
    pub fn stop(&self, name: &str, files: &Files) -> Result<(), Error> {
        match self {
            Self::Systemd(systemd) => systemd.on("stop", &unit(name)).map_err(Error::Service)?,
            Self::Own(own) => {
                if let Some(keeper) = own.keeper(name) {
                    end(&keeper);
                }
                crate::lock::RunLock::remove_ended(&own.run, &lock_name(name));
            }
        }
        // One whose keeper was killed.
        if let Some(process) = process(files) {
            end(&process);
        }
        Ok(())
    }

    fn is_kept(&self, name: &str) -> bool {
        match self {
            Self::Systemd(_) => true,
            Self::Own(own) => own.keeper(name).is_some(),
        }
    }
}

fn start_unit(systemd: &Systemd, verb: &str, name: &str) -> Result<(), Error> {
    let unit = unit(name);
    systemd.on(verb, &unit).map_err(|error| match error {
        crate::service::Error::Program { .. } => Error::Server {
            name: name.to_owned(),
            said: Systemd::last_words_of(&unit).unwrap_or(format!("`{unit}` failed")),
        },
        other => Error::Service(other),
    })
}

fn unit(name: &str) -> String {
    format!("microvm-dnsmasq@{name}.service")
}

/// Of the keeper's lock; a name of a VM has no colon.
fn lock_name(name: &str) -> String {
    format!("{name}:network")
}

fn end(process: &Process) {
    process.signal(Signal::TERM);
    if !process.wait(STOP) {
        process.signal(Signal::KILL);
        process.wait(STOP);
    }
}

/// The dnsmasq of a network, where it runs.
pub fn process(files: &Files) -> Option<Process> {
    let text = std::fs::read_to_string(files.pid()).ok()?;
    let process = Process::open(text.trim().parse().ok()?)?;
    let command = std::fs::read(process.directory(Path::new("/proc")).join("cmdline")).ok()?;
    let told = option(files);
    let mut words = command.split(|byte| *byte == 0);
    words.any(|word| word == told.as_bytes()).then_some(process)
}

/// Has it read again who is known; it keeps its configuration.
pub fn reload(files: &Files) {
    if let Some(process) = process(files) {
        process.signal(Signal::HUP);
    }
}

/// Whether it runs with the configuration that is there.
pub fn is_current(files: &Files) -> bool {
    let read = |path: PathBuf| std::fs::read(path).ok();
    let served = read(served(files));
    served.is_some() && served == read(files.configuration()) && process(files).is_some()
}

/// What it was started with.
fn served(files: &Files) -> PathBuf {
    files.run.join("served")
}

fn option(files: &Files) -> String {
    format!("--conf-file={}", files.configuration().display())
}

/// What starts it.
pub fn command(files: &Files) -> Result<Command, Error> {
    let program = program::find("dnsmasq")?;
    std::fs::copy(files.configuration(), served(files))
        .map_err(|source| Error::io("copy", &files.configuration(), source))?;
    let mut command = Command::new(program);
    command.arg(option(files)).stdin(Stdio::null());
    Ok(command)
}

impl Own {
    fn keeper(&self, name: &str) -> Option<Process> {
        Process::of_lock(&self.run, &lock_name(name))
    }

    /// Starts a keeper and waits until it says that dnsmasq serves.
    fn start(&self, name: &str, files: &Files) -> Result<(), Error> {
        // Before anything is started: the message says what to install.
        program::find("dnsmasq")?;
        let failed = |source| Error::Run {
            program: self.program.clone(),
            source,
        };
        let log = self.logs.join(format!("network:{name}.log"));
        let output = File::create(&log).map_err(|source| Error::io("write", &log, source))?;
        let told = Told {
            lock_dir: self.run.clone(),
            lock: lock_name(name),
            run: files.run.clone(),
            leases: files.leases.clone(),
        };
        let told = serde_json::to_string(&told).map_err(|error| failed(error.into()))?;
        let mut command = Command::new(&self.program);
        command
            .arg0("microvm-network")
            .args([KEEPER_COMMAND, &told])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(output);
        spawn::with_all_signals(&mut command);
        spawn::in_a_session_of_its_own(&mut command);
        let mut child = command.spawn().map_err(failed)?;
        crate::fleet::fault::point();
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut said);
        }
        if said.trim() == "ready" {
            return Ok(());
        }
        let _ = child.wait();
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let of_dnsmasq = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("dnsmasq: "));
        let last = of_dnsmasq.or_else(|| text.lines().next_back());
        Err(Error::Server {
            name: name.to_owned(),
            said: last.unwrap_or("it ended at once").trim().to_owned(),
        })
    }
}

/// Waits until it serves, within a bound.
pub fn serves_within(files: &Files, bound: Duration, has_ended: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < bound && !has_ended() {
        if process(files).is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
