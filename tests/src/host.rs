//! What this host has of what a test needs.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;

/// The program under test: `MICROVM_BIN`, else the one beside the test's own target directory.
pub fn microvm() -> PathBuf {
    if let Some(path) = std::env::var_os("MICROVM_BIN") {
        return path.into();
    }
    let mut directory = std::env::current_exe().expect("a test knows its own path");
    while directory.pop() {
        let candidate = directory.join("microvm");
        if candidate.is_file() {
            return candidate;
        }
    }
    PathBuf::from("microvm")
}

/// `None` where the program answers, else why a test that needs it is skipped.
pub fn lacks(program: &str) -> Option<String> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
            .any(|directory| directory.join(program).is_file())
    });
    (!found).then(|| format!("`{program}` is not installed"))
}

/// A TCP port of the loopback address that was free a moment ago.
pub fn free_tcp_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

pub fn free_udp_port() -> Outcome<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Runs a program to its end and gives what it printed; a failure carries its stderr.
pub fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {stderr}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
