//! What can be done with a VM that runs: the commands and the entries of bin/ both end here.
//!
//! The current directory is the state directory.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backend::control::Control;
use host::console::{self, Left};
use host::control::{self, Status, Stopped};
use serde_json::json;

use crate::error::{Error, Kind, OrKind, Result};

/// The verbs that bin/ has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    Shutdown,
    Balloon,
    Pause,
    Resume,
    Status,
    Console,
}

pub fn shutdown(control: &Control) -> Result<ExitCode> {
    let stopped = control::shutdown(control, stop_timeout()?, &AtomicBool::new(false))?;
    match stopped {
        Stopped::Graceful => say(format!("`{}` has shut itself down", control.vm)),
        Stopped::NotRunning => say(format!("`{}` does not run here", control.vm)),
        Stopped::Quit | Stopped::Killed => return Ok(escalated(&control.vm, stopped)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that a guest had to be ended, and gives the exit code for it.
pub fn escalated(vm: &str, stopped: Stopped) -> ExitCode {
    let how = if stopped == Stopped::Killed {
        "killed"
    } else {
        "told to quit"
    };
    say(format!(
        "`{vm}` did not shut itself down in time; its hypervisor was {how}"
    ));
    ExitCode::from(Kind::Escalated as u8)
}

/// Prints the memory that the guest is left with, in MiB, where its hypervisor tells.
pub fn balloon(control: &Control, size_mib: u64) -> Result<ExitCode> {
    match control::balloon(control, size_mib)? {
        Some(left) => println!("{left}"),
        None => say(format!(
            "`{}` was asked to do with {size_mib} MiB; its hypervisor does not tell how far it got",
            control.vm
        )),
    }
    Ok(ExitCode::SUCCESS)
}

pub fn pause(control: &Control) -> Result<ExitCode> {
    control::pause(control)?;
    Ok(ExitCode::SUCCESS)
}

pub fn resume(control: &Control) -> Result<ExitCode> {
    control::resume(control)?;
    Ok(ExitCode::SUCCESS)
}

/// Joins this terminal to the guest's console.
pub fn console(control: &Control) -> Result<ExitCode> {
    if std::io::stdin().is_terminal() {
        say(format!("The console of `{}`; Ctrl-] leaves it", control.vm));
    }
    match console::attach(&console::socket_of(&control.vm))? {
        Left::Detached => say(format!("`{}` goes on", control.vm)),
        Left::Ended => say(format!("`{}` has ended", control.vm)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what can be told of some VMs, each of which runs in its directory.
pub fn status(all: &[(PathBuf, Control)], as_json: bool) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for (dir, control) in all {
        std::env::set_current_dir(dir).or_kind(Kind::NotFound)?;
        let status = control::status(control);
        match as_json {
            true => rows.push(row(control, &status)),
            false => print(control, &status),
        }
    }
    if as_json {
        println!("{:#}", serde_json::Value::Array(rows));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(control: &Control, status: &Status) -> serde_json::Value {
    json!({
        "vm": control.vm,
        "state": status.state.as_str(),
        "pid": status.pid,
        "uptimeSeconds": status.uptime.map(|uptime| uptime.as_secs()),
        "memoryMiB": status.memory_mib,
        "hostMemoryMiB": status.resident_mib,
    })
}

fn print(control: &Control, status: &Status) {
    println!("{}: {}", control.vm, status.state.as_str());
    let uptime = status
        .uptime
        .map(|uptime| format!(", up {}", duration(uptime)));
    if let Some(pid) = status.pid {
        println!("  process  {pid}{}", uptime.unwrap_or_default());
    }
    let guest = status
        .memory_mib
        .map(|mib| format!("{mib} MiB for the guest"));
    let host = status
        .resident_mib
        .map(|mib| format!("{mib} MiB of the host"));
    let memory: Vec<String> = guest.into_iter().chain(host).collect();
    if !memory.is_empty() {
        println!("  memory   {}", memory.join(", "));
    }
}

/// `3 d 2 h`, `2 h 5 min`, `5 min 3 s` or `3 s`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// The one argument of `microvm-balloon`.
pub fn size(arguments: &[OsString]) -> Result<u64> {
    let size = match arguments {
        [size] => size
            .to_str()
            .and_then(|size| size.parse::<u64>().ok())
            .filter(|size| *size > 0),
        _ => None,
    };
    size.ok_or_else(|| {
        let message = "The argument is the memory to leave the guest, in MiB, such as `512`";
        Error::new(Kind::Usage, message).hint("usage: microvm-balloon SIZE")
    })
}

/// Longest that a guest may take to shut itself down; see `docs/running.md`.
const STOP_TIMEOUT: &str = "MICROVM_SHUTDOWN_TIMEOUT";

pub fn stop_timeout() -> Result<Duration> {
    match std::env::var(STOP_TIMEOUT) {
        Err(_) => Ok(Duration::from_secs(60)),
        Ok(text) => text.parse().map(Duration::from_secs).map_err(|_| {
            Error::new(
                Kind::Usage,
                format!("`{STOP_TIMEOUT}` is `{text}`; accepted is a whole number of seconds"),
            )
        }),
    }
}

pub fn say(line: String) {
    // While the hypervisor has the terminal in raw mode, a line feed alone does not go back to
    // the first column.
    let end = if std::io::stderr().is_terminal() {
        "\r\n"
    } else {
        "\n"
    };
    anstream::eprint!("microvm: {line}{end}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(3, "3 s")]
    #[case(303, "5 min 3 s")]
    #[case(7_500, "2 h 5 min")]
    #[case(266_400, "3 d 2 h")]
    fn times_are_told_in_two_units(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(duration(Duration::from_secs(seconds)), expected);
    }
}
