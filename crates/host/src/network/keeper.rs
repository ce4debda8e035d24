//! Keeps the dnsmasq of one network where no systemd does: starts it, starts it again when it
//! fails, ends it when it is told to. Guests keep their addresses meanwhile.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::dnsmasq::Files;
use super::{Error, server};
use crate::lock::RunLock;
use crate::supervise::Signals;

/// The `microvm` binary's own command for it.
pub const KEEPER_COMMAND: &str = "network-keeper";

/// What it is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    pub lock_dir: PathBuf,
    pub lock: String,
    pub run: PathBuf,
    pub leases: PathBuf,
}

/// Longest that dnsmasq may take until it serves.
const START: Duration = Duration::from_secs(10);

/// Between a failure and the next start; longer and longer.
const PAUSES: [u64; 5] = [1, 2, 5, 15, 60];

pub fn keeper_main(told: &str) -> ExitCode {
    let kept = serde_json::from_str(told)
        .map_err(|error| error.to_string())
        .and_then(|told: Told| keep(&told).map_err(|error| error.to_string()));
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(told: &Told) -> Result<(), Error> {
    let wanted = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ];
    let signals = Signals::receive(&wanted)
        .map_err(|source| Error::io("receive signals for", &told.run, source))?;
    let _lock = RunLock::take(&told.lock_dir, &told.lock).map_err(Error::Lock)?;
    let files = Files {
        run: told.run.clone(),
        leases: told.leases.clone(),
    };
    let mut child = start(&files)?;
    tell_ready();
    let mut failures = 0;
    loop {
        match until_it_ends(&mut child, &signals) {
            End::Told => break,
            End::Itself => {}
        }
        let pause = PAUSES[failures.min(PAUSES.len() - 1)];
        failures += 1;
        eprintln!("dnsmasq ended; it is started again in {pause} s");
        if is_told_within(&signals, Duration::from_secs(pause)) {
            break;
        }
        match start(&files) {
            Ok(again) => child = again,
            Err(error) => eprintln!("{error}"),
        }
    }
    let _ = std::fs::remove_file(files.pid());
    Ok(())
}

enum End {
    Told,
    Itself,
}

fn start(files: &Files) -> Result<Child, Error> {
    let mut command = server::command(files)?;
    command.args(["--keep-in-foreground", "--log-facility=-"]);
    command.stdout(Stdio::null());
    crate::spawn::with_all_signals(&mut command);
    let child = command.spawn().map_err(|source| Error::Run {
        program: command.get_program().into(),
        source,
    })?;
    let child = RefCell::new(child);
    let has_ended = || !matches!(child.borrow_mut().try_wait(), Ok(None));
    let serves = server::serves_within(files, START, has_ended);
    let mut child = child.into_inner();
    if serves {
        return Ok(child);
    }
    let _ = child.kill();
    let status = child.wait().map_err(|source| Error::Run {
        program: command.get_program().into(),
        source,
    })?;
    Err(Error::Ended { status })
}

fn until_it_ends(child: &mut Child, signals: &Signals) -> End {
    loop {
        if !matches!(child.try_wait(), Ok(None)) {
            return End::Itself;
        }
        if let Ok(Some(Signal::SIGTERM | Signal::SIGINT)) = signals.wait(None) {
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            let _ = nix::sys::signal::kill(pid, Signal::SIGTERM);
            let _ = child.wait();
            return End::Told;
        }
    }
}

fn is_told_within(signals: &Signals, pause: Duration) -> bool {
    let deadline = std::time::Instant::now() + pause;
    while let Some(left) = deadline.checked_duration_since(std::time::Instant::now()) {
        if let Ok(Some(Signal::SIGTERM | Signal::SIGINT)) = signals.wait(Some(left)) {
            return true;
        }
    }
    false
}

fn tell_ready() {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "ready").and_then(|()| stdout.flush());
}
