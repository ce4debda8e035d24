//! Whether a VM runs, and how systemd is told.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use backend::control::{Api, Control};
use spec::names::VmName;

use super::{Account, Error};
use crate::guest_exec;
use crate::lock::RunLock;
use crate::virtiofs::notify;
use crate::vsock::Target;

/// What is known of a VM that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Runs,
    NotYet,
    /// Its package has no command that tells, or its hypervisor has nothing that is asked. It is
    /// taken to run after [`GRACE`].
    Untold,
}

/// One that does not start ends sooner.
pub const GRACE: Duration = Duration::from_secs(3);

/// Set by the unit where the guest's own readiness counts: for how long it is waited for.
pub const GUEST_SECONDS: &str = "MICROVM_GUEST_SECONDS";

const LOOK: Duration = Duration::from_millis(200);

/// Asks a package's own `microvm-status`, as the user whom the VM runs as: what it reads there was
/// written by a hypervisor, and is not for root to act upon.
pub fn readiness(package: &Path, name: &VmName, account: Option<Account>) -> Readiness {
    let program = package.join("bin/microvm-status");
    if !program.exists() {
        return Readiness::Untold;
    }
    let mut command = Command::new(program);
    command
        .arg("--json")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    if let Some(account) = account {
        account.apply(&mut command);
    }
    let said = command.output().map(|output| output.stdout);
    let rows = said
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    match rows.as_ref().and_then(|rows| rows[0]["state"].as_str()) {
        Some("running" | "paused") => Readiness::Runs,
        // Nothing listens; whether something will, its lock says, once it is described.
        Some("unknown")
            if RunLock::described(Path::new("."), name).is_some_and(has_nothing_to_ask) =>
        {
            Readiness::Untold
        }
        _ => Readiness::NotYet,
    }
}

fn has_nothing_to_ask(control: Control) -> bool {
    control.api == Api::None
}

/// Becomes a VM's `microvm-run` in its directory, and leaves behind a process that tells systemd
/// when the VM runs. Of a package that holds no lock of its own, the lock is taken for it.
/// Returns only where it failed.
pub fn run_as_unit(dir: &Path, name: &VmName, package: &Path) -> Error {
    if let Err(source) = std::env::set_current_dir(dir) {
        return Error::io("enter", dir, source);
    }
    let program = package.join("bin/microvm-run");
    let _lock = match own_lock(package, name) {
        Ok(lock) => lock,
        Err(error) => return error,
    };
    if let Err(error) = leave_watcher(package, name) {
        return Error::Run {
            program: program.clone(),
            source: error,
        };
    }
    let source = Command::new(&program).env_remove("NOTIFY_SOCKET").exec();
    Error::Run { program, source }
}

fn own_lock(package: &Path, name: &VmName) -> Result<Option<std::os::fd::OwnedFd>, Error> {
    if package.join("share/microvm/spec.json").exists() {
        return Ok(None);
    }
    let lock = RunLock::take(Path::new("."), name)?;
    let left = lock.leave_to_exec().map_err(|error| Error::Io {
        action: "keep the lock of",
        path: PathBuf::from(&**name),
        source: error.into(),
    })?;
    Ok(Some(left))
}

/// The first argument of the process that watches.
pub const WATCH_COMMAND: &str = "vm-watch";

/// Leaves behind a process that tells systemd when the VM runs that this one becomes; nothing where
/// nobody asks.
pub fn leave_watcher(package: &Path, name: &VmName) -> std::io::Result<()> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    Command::new(std::env::current_exe()?)
        .arg(WATCH_COMMAND)
        .arg(&**name)
        .arg(package)
        .stdin(Stdio::null())
        .spawn()?;
    Ok(())
}

/// Tells systemd when the VM runs that its parent becomes; while it starts, that it needs more
/// time: where many start at once, none is to be killed for being slow.
pub fn watch(package: &Path, name: &VmName) {
    const LONGEST: Duration = Duration::from_secs(20 * 60);
    const MORE: Duration = Duration::from_secs(30);
    let hypervisor = nix::unistd::getppid();
    let start = Instant::now();
    let mut extended = Instant::now();
    let mut guest = Booting::wanted(package, name);
    while nix::unistd::getppid() == hypervisor && start.elapsed() < LONGEST {
        let runs = match readiness(package, name, None) {
            Readiness::Runs => true,
            Readiness::Untold => start.elapsed() > GRACE,
            Readiness::NotYet => false,
        };
        if runs && guest.as_mut().is_none_or(Booting::is_over) {
            return notify("READY=1");
        }
        if extended.elapsed() > MORE / 3 {
            notify(&format!("EXTEND_TIMEOUT_USEC={}", MORE.as_micros()));
            extended = Instant::now();
        }
        std::thread::sleep(LOOK);
    }
}

/// A guest that says itself when it has booted, where the host waits for that.
struct Booting {
    since: Instant,
    bound: Duration,
    ended: Receiver<()>,
}

impl Booting {
    /// `None` where nobody wants to wait, or the guest has no way to say it.
    fn wanted(package: &Path, name: &VmName) -> Option<Self> {
        let seconds = std::env::var(GUEST_SECONDS).ok()?.parse().ok()?;
        let target = commands_of(package, name)?;
        let bound = Duration::from_secs(seconds);
        let since = Instant::now();
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            while since.elapsed() < bound {
                let left = bound.saturating_sub(since.elapsed());
                if guest_exec::wait_until_booted(&target, left).is_ok() {
                    break;
                }
                std::thread::sleep(LOOK);
            }
            let _ = sender.send(());
        });
        Some(Self {
            since,
            bound,
            ended,
        })
    }

    /// One that never says so is taken to run as its hypervisor does.
    fn is_over(&mut self) -> bool {
        self.since.elapsed() > self.bound || self.ended.try_recv() != Err(TryRecvError::Empty)
    }
}

/// Where a package's guest takes requests, in the current directory.
fn commands_of(package: &Path, name: &VmName) -> Option<Target> {
    let text = std::fs::read_to_string(package.join("share/microvm/spec.json")).ok()?;
    let runner = backend::package::Runner::parse(&text).ok()?;
    let vm = runner.named(name.clone()).vm;
    let port = guest_exec::PORT;
    let cid = vm.vsock?;
    Some(match Control::of(&vm, Path::new("")).vsock {
        Some(socket) => Target::Hypervisor { socket, port },
        None => Target::Kernel {
            cid: cid.into(),
            port,
        },
    })
}

/// Waits, within a bound, until the process that keeps the console has written its last words:
/// systemd kills what is left when the hypervisor has ended.
pub fn settle(dir: &Path, name: &VmName) {
    const PATIENCE: Duration = Duration::from_secs(3);
    let console = dir.join(crate::console::socket_of(name));
    let start = Instant::now();
    while console.exists() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
}
