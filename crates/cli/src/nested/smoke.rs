//! `--smoke`: whether everything in the VM comes up, and goes down again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::NAME;
use super::guests::Built;
use super::ssh::{OUTER, Ssh};
use crate::error::{Error, Kind, OrKind, Result};
use crate::term;
use crate::verbs::say;

/// Longest from power-on to its SSH, where all is emulated.
const BOOT: Duration = Duration::from_secs(300);

/// Longest until the last of its VMs answers.
const ALL: Duration = Duration::from_secs(900);

/// Longest for all to shut down.
const STOP: Duration = Duration::from_secs(300);

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

pub fn free_port() -> Result<u16> {
    let port = || TcpListener::bind(("127.0.0.1", 0))?.local_addr();
    Ok(port().or_kind(Kind::Busy)?.port())
}

/// Seconds of each VM from its start to its SSH.
type Seen = BTreeMap<&'static str, f64>;

/// Runs it in a directory that is gone afterwards.
pub fn run(package: &Path, port: u16, guests: &[Built]) -> Result<ExitCode> {
    let directory = tempfile::Builder::new().prefix("microvm-vm-").tempdir();
    let directory = directory.or_kind(Kind::Storage)?;
    let ssh = Ssh::new(directory.path(), port)?;
    let mut outer = Outer::start(package, directory.path())?;
    let mut missing = Vec::new();
    let result = outer
        .answers(&ssh)
        .and_then(|()| watch(&mut outer, &ssh, guests))
        .map(|seen| missing = print(&ssh, guests, &seen));
    ssh.disconnect();
    let stopped = outer.stop();
    result?;
    stopped?;
    if missing.is_empty() {
        say(format!(
            "`{NAME}`: all answered, and all shut themselves down"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let message = format!("{} did not answer on SSH", missing.join(", "));
    Err(Error::new(Kind::Hypervisor, message))
}

/// Waits for each to let somebody in.
fn watch(outer: &mut Outer, ssh: &Ssh, guests: &[Built]) -> Result<Seen> {
    let start = Instant::now();
    let mut seen = Seen::new();
    while seen.len() < guests.len() && start.elapsed() < ALL {
        for guest in guests {
            let name = guest.name();
            outer.still_runs()?;
            if seen.contains_key(name) || !ssh.greets(name) {
                continue;
            }
            // A host that is busy may fail to answer: it is asked again.
            let Ok(seconds) = since_start(ssh, name) else {
                continue;
            };
            if ssh.run(name, &["hostname"]).is_ok_and(|own| own == name) {
                say(format!("`{NAME}`: `{name}` answers after {seconds:.0} s"));
                seen.insert(name, seconds);
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(seen)
}

/// Seconds since a VM was started, by the clock of its host.
fn since_start(ssh: &Ssh, name: &str) -> Result<f64> {
    let unit = format!("microvm@{name}.service");
    let property = "--property=InactiveExitTimestampMonotonic";
    let started = ssh.run(OUTER, &["systemctl", "show", "--value", property, &unit])?;
    let now = ssh.run(OUTER, &["cat", "/proc/uptime"])?;
    let started: f64 = started.parse().or_kind(Kind::Other)?;
    let now = now.split(' ').next().unwrap_or_default();
    Ok(now.parse::<f64>().or_kind(Kind::Other)? - started / 1e6)
}

/// Prints the table; gives those that did not answer.
fn print(ssh: &Ssh, guests: &[Built], seen: &Seen) -> Vec<&'static str> {
    let memory = memory(ssh).unwrap_or_default();
    println!(
        "{:<18}  {:<10}  {:>14}  {:>18}",
        "hypervisor", "address", "seconds to SSH", "memory on the host"
    );
    for guest in guests {
        let seconds = seen.get(guest.name()).map(|it| format!("{it:.0}"));
        let resident = memory.get(guest.name()).map(|mib| format!("{mib} MiB"));
        println!(
            "{:<18}  {:<10}  {:>14}  {:>18}",
            guest.name(),
            guest.address(),
            seconds.as_deref().unwrap_or("-"),
            resident.as_deref().unwrap_or("-")
        );
    }
    let missing = |guest: &&Built| !seen.contains_key(guest.name());
    guests.iter().filter(missing).map(Built::name).collect()
}

/// MiB that each takes of its host.
fn memory(ssh: &Ssh) -> Option<BTreeMap<String, u64>> {
    let words = [
        "microvm",
        "status",
        "--json",
        "--state-dir",
        "/var/lib/microvms",
    ];
    let rows: serde_json::Value = serde_json::from_str(&ssh.run(OUTER, &words).ok()?).ok()?;
    let row = |row: &serde_json::Value| {
        let name = row["vm"].as_str()?.to_owned();
        Some((name, row["hostMemoryMiB"].as_u64()?))
    };
    Some(rows.as_array()?.iter().filter_map(row).collect())
}

/// The VM, run by this program as by hand.
struct Outer {
    child: Child,
    log: PathBuf,
}

impl Outer {
    fn start(package: &Path, directory: &Path) -> Result<Self> {
        let log = directory.join("vm.log");
        let file = File::create(&log).or_kind(Kind::Storage)?;
        let program = std::env::current_exe().or_kind(Kind::Other)?;
        let child = Command::new(program)
            .arg("run")
            .arg(package)
            .arg("--state-dir")
            .arg(directory)
            .env("MICROVM_SHUTDOWN_TIMEOUT", STOP.as_secs().to_string())
            .stdin(Stdio::null())
            .stdout(file.try_clone().or_kind(Kind::Storage)?)
            .stderr(file)
            // Ctrl-C is for this process, which stops it once.
            .process_group(0)
            .spawn()
            .or_kind(Kind::Other)?;
        Ok(Self { child, log })
    }

    fn answers(&mut self, ssh: &Ssh) -> Result<()> {
        let start = Instant::now();
        while !ssh.connect() {
            self.still_runs()?;
            if start.elapsed() > BOOT {
                let message = format!("`{NAME}` did not answer on SSH in {} s", BOOT.as_secs());
                return Err(self.error(message));
            }
            std::thread::sleep(PAUSE);
        }
        say(format!(
            "`{NAME}` answers after {} s",
            start.elapsed().as_secs()
        ));
        Ok(())
    }

    fn still_runs(&mut self) -> Result<()> {
        if term::interrupted().load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, "Interrupted"));
        }
        match self.child.try_wait().or_kind(Kind::Other)? {
            None => Ok(()),
            Some(status) => Err(self.error(format!("`{NAME}` ended early ({status})"))),
        }
    }

    /// Has everything shut itself down.
    fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .map(Pid::from_raw)
            .or_kind(Kind::Other)?;
        if self.child.try_wait().or_kind(Kind::Other)?.is_none() {
            kill(pid, Signal::SIGTERM).or_kind(Kind::Other)?;
        }
        let status = self.child.wait().or_kind(Kind::Other)?;
        if status.success() {
            return Ok(());
        }
        Err(self.error(format!("`{NAME}` did not shut down ({status})")))
    }

    /// With the last that was said on the console.
    fn error(&self, message: String) -> Error {
        let said =
            std::fs::read(&self.log).unwrap_or_else(|error: io::Error| error.to_string().into());
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::new(Kind::Hypervisor, format!("{message}; its end:\n{end}"))
    }
}
