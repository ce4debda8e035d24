//! The `nix` program: found, told what it may use, and listened to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::trace;
use crate::error::{Error, Kind, Result};

static SHOW_TRACE: AtomicBool = AtomicBool::new(false);

/// From now on errors are shown with all that Nix says.
pub fn show_trace() {
    SHOW_TRACE.store(true, Ordering::Relaxed);
}

pub fn shows_trace() -> bool {
    SHOW_TRACE.load(Ordering::Relaxed)
}

/// One of Nix's programs, with what flakes need.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    if program == "nix" {
        command.args(["--extra-experimental-features", "nix-command flakes"]);
    }
    if shows_trace() {
        command.arg("--show-trace");
    }
    command
}

pub fn cannot_run(program: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::Missing, format!("Cannot run `{program}`: {error}"))
        .hint("a flake is built by Nix; Debian has it in the package `nix-bin`")
}

/// Evaluates to JSON.
pub fn evaluate(command: &mut Command) -> Result<serde_json::Value> {
    let output = command
        .output()
        .map_err(|error| cannot_run("nix", &error))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(trace::error(Kind::Definition, &said, shows_trace()));
    }
    trace::warnings(&said).for_each(|line| eprintln!("{line}"));
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let message = format!("`nix eval` printed what is no JSON: {error}");
        Error::new(Kind::Other, message)
    })
}

/// Whether Nix's own registry has a name; without Nix none is known.
pub fn registry_has(name: &str) -> bool {
    let output = command("nix").args(["registry", "list"]).output();
    let Ok(output) = output else { return false };
    let text = String::from_utf8_lossy(&output.stdout);
    let known = format!("flake:{name}");
    text.lines()
        .any(|line| line.split_whitespace().nth(1) == Some(&known))
}

/// Has a lock file name what inputs are now.
pub fn update(url: &str) -> Result<()> {
    let mut command = command("nix");
    command.args([
        "flake",
        "metadata",
        "--json",
        "--recreate-lock-file",
        "--",
        url,
    ]);
    evaluate(&mut command).map(drop)
}

/// What differs between two closures; nothing where Nix cannot tell.
pub fn diff_closures(before: &Path, after: &Path) -> Vec<String> {
    let output = command("nix")
        .args(["store", "diff-closures"])
        .args([before, after])
        .output();
    let text = match &output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout),
        _ => return Vec::new(),
    };
    let lines = text.lines().map(trace::plain);
    lines.filter(|line| !line.is_empty()).collect()
}
