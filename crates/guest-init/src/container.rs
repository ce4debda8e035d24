//! PID 1 of a guest that has no init of its own, such as one made from a container image: mounts
//! what programs expect, brings up the network, runs one program, reaps what is left of others,
//! and ends the VM when the program ends.
//!
//! It is asked to stop by the power button, by Ctrl-Alt-Del, and by the signals by which other
//! inits are asked; it asks the program, and waits within a bound.

mod process;
mod signals;

use std::convert::Infallible;
use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

use guest_init::entry::{Entry, FILE};
use nix::libc;
use nix::mount::MsFlags;
use nix::sys::reboot::set_cad_enabled;

use self::process::Ended;
use self::signals::Signals;
use crate::button::Buttons;
use crate::failure::Failure;
use crate::{Result, leave, mounting, network, shutdown};

/// How it is called, by which it knows what it is.
const NAME: &str = "microvm-init";

/// How long the program may take to end once it was asked to.
const PATIENCE: Duration = Duration::from_secs(30);
/// And what it left behind.
const REST: Duration = Duration::from_secs(3);
/// How long the program waits for an address.
const NETWORK: Duration = Duration::from_secs(10);

/// Whether this process is to be the init.
pub fn is_asked_for() -> bool {
    std::env::args().next().is_some_and(|name| name == NAME)
}

/// Whether this guest is one that needs it.
pub fn is_needed() -> bool {
    Path::new(FILE).exists()
}

/// Becomes it: the copy that stays anyway, so that the memory of /init is given back.
pub fn become_it() -> Result<Infallible> {
    let path = CString::new(shutdown::PROGRAM).unwrap_or_default();
    let name = CString::new(NAME).unwrap_or_default();
    let none: [CString; 0] = [];
    nix::unistd::execve(&path, &[name], &none).map_err(|errno| {
        let program = shutdown::PROGRAM;
        Failure::new(format!("Cannot start `{program}`: {errno}"))
    })
}

/// Serves as long as the guest runs.
pub fn run() -> ! {
    // Else it is called `shutdown`, after what was executed.
    let _ = nix::sys::prctl::set_name(c"microvm-init");
    leave::remember(shutdown::how_to_leave());
    match serve() {
        Ok(()) => end(),
        Err(failure) => crate::failure::end(&failure),
    }
}

fn serve() -> Result<()> {
    let text = std::fs::read_to_string(FILE)
        .map_err(|error| Failure::new(format!("Cannot read `{FILE}`: {error}")))?;
    let entry =
        Entry::parse(&text).ok_or_else(|| Failure::new(format!("`{FILE}` is not understood")))?;
    // Before any thread: each inherits what is blocked.
    let signals = Signals::receive()?;
    // Ctrl-Alt-Del becomes SIGINT instead of a reset.
    let _ = set_cad_enabled(false);
    mount_all()?;
    network::bring_up(entry.dhcp, NETWORK);
    let buttons = Buttons::open();
    let program = process::start(&entry)?;
    let ended = supervise(&signals, &buttons, program, entry.stop_signal)?;
    println!("microvm: `{}` ended: {ended}", entry.command[0]);
    process::end_all(&signals, REST);
    Ok(())
}

/// Waits for the end of the program; asks for it where the guest is to stop.
fn supervise(
    signals: &Signals,
    buttons: &Buttons,
    program: nix::unistd::Pid,
    stop: i32,
) -> Result<Ended> {
    let mut asked: Option<Instant> = None;
    loop {
        if let Some(ended) = process::reap(program) {
            return Ok(ended);
        }
        let left = asked.map(|at| PATIENCE.saturating_sub(at.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            println!("microvm: it did not end in {} s", PATIENCE.as_secs());
            return Ok(Ended::Asked);
        }
        let to_stop = signals.wait(buttons, left)?;
        if to_stop && asked.is_none() {
            println!("microvm: asked to stop");
            process::signal(program, stop);
            asked = Some(Instant::now());
        }
    }
}

/// What programs expect beside /dev, /proc, /sys and /run, which are there.
fn mount_all() -> Result<()> {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let sealed = safe | MsFlags::MS_NOEXEC;
    let pts = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let all = [
        ("devpts", "/dev/pts", pts, "mode=0620,ptmxmode=0666,gid=5"),
        ("tmpfs", "/dev/shm", safe, "mode=1777"),
        ("cgroup2", "/sys/fs/cgroup", sealed, "nsdelegate"),
    ];
    for (fs_type, target, flags, data) in all {
        if let Err((failure, _)) = mounting::at(fs_type, target, fs_type, flags, data) {
            // A kernel may be without one of them; most programs are as well.
            println!("microvm: {failure}");
        }
    }
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        let _ = std::os::unix::fs::symlink(target, link);
    }
    make_temporary("/tmp");
    make_temporary("/var/tmp");
    Ok(())
}

fn make_temporary(path: &str) {
    use std::os::unix::fs::PermissionsExt;
    if !Path::new(path).exists() && std::fs::create_dir_all(path).is_ok() {
        let mode = std::fs::Permissions::from_mode(0o1777);
        let _ = std::fs::set_permissions(path, mode);
    }
}

/// Unmounts what can be, and ends the VM.
fn end() -> ! {
    nix::unistd::sync();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for target in targets.collect::<Vec<_>>().into_iter().rev() {
        let target = Path::new(target);
        if nix::mount::umount(target).is_err() {
            let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            let none: Option<&str> = None;
            let _ = nix::mount::mount(none, target, none, read_only, none);
        }
    }
    leave::now("poweroff", leave::remembered())
}

/// By which a guest is asked to stop: as systemd is, as container engines do, by a host whose
/// power fails, and by Ctrl-Alt-Del.
const TO_STOP: [i32; 4] = [38, libc::SIGTERM, libc::SIGPWR, libc::SIGINT];
