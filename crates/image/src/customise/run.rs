//! Runs the guest's own programs; the calling thread is confined to the guest's tree.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, io_at};

/// How many lines of a failed command are told.
const LINES: usize = 5;

/// Runs one command of the definition's `run`.
pub(super) fn command(command: &str, out: &mut dyn Write) -> Result<(), Error> {
    let mut shell = guest_program("/bin/sh");
    shell.args(["-e", "-c", command]);
    run(shell, &format!("`run` command `{command}`"), out)
}

/// Enables units; nothing is started.
pub(super) fn systemctl_enable(units: &[&str]) -> Result<(), Error> {
    if units.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/systemctl").exists() && !Path::new("/bin/systemctl").exists() {
        let units = units.join("`, `");
        return Err(Error::Guest(format!(
            "The guest has no systemctl to enable `{units}` with"
        )));
    }
    let mut systemctl = guest_program("systemctl");
    systemctl.args(["--no-reload", "enable", "--"]).args(units);
    run(systemctl, "enabling units", &mut std::io::sink())
}

/// Writes the indices by which modprobe finds a kernel's modules.
pub(crate) fn depmod(release: &str) -> Result<(), Error> {
    let mut depmod = guest_program("depmod");
    depmod.arg(release);
    run(depmod, "`depmod`", &mut std::io::sink())
}

fn guest_program(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("SOURCE_DATE_EPOCH", "0")
        .env("SYSTEMD_OFFLINE", "1")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command, what: &str, out: &mut dyn Write) -> Result<(), Error> {
    let (reader, writer) = std::io::pipe().map_err(io_at("make a pipe for", Path::new(what)))?;
    let second = writer
        .try_clone()
        .map_err(io_at("make a pipe for", Path::new(what)))?;
    let program = command.get_program().to_owned();
    let spawned = command.stdout(writer).stderr(second).spawn();
    // The command holds the pipe's other end, which must close when the program ends.
    drop(command);
    let mut child = spawned.map_err(|error| {
        Error::Guest(format!(
            "{what}: `{}` cannot be run: {error}",
            program.to_string_lossy()
        ))
    })?;
    let mut last: Vec<String> = Vec::new();
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        let _ = writeln!(out, "{line}");
        if last.len() == LINES {
            last.remove(0);
        }
        last.push(line);
    }
    let status = child.wait().map_err(io_at("wait for", Path::new(what)))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Guest(format!(
        "{what} failed ({status}): {}",
        last.join("; ")
    )))
}
