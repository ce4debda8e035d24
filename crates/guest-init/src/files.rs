//! What the guest's files learn at boot, because the image does not know: its name.

use std::io::ErrorKind;

use crate::Result;
use crate::failure::Failure;

/// Sets the host name, and writes it where the guest has none of its own.
pub fn write_names(hostname: &str) -> Result<()> {
    nix::unistd::sethostname(hostname)
        .map_err(|errno| Failure::new(format!("Cannot set the host name `{hostname}`: {errno}")))?;
    if is_neutral(&read("/etc/hostname")) {
        write("/etc/hostname", &format!("{hostname}\n"))?;
    }
    let hosts = read("/etc/hosts");
    let knows = hosts
        .lines()
        .any(|line| line.split_whitespace().any(|word| word == hostname));
    if !knows {
        let before = if hosts.is_empty() {
            "127.0.0.1 localhost\n::1 localhost\n"
        } else {
            &hosts
        };
        write("/etc/hosts", &format!("{before}127.0.1.1 {hostname}\n"))?;
    }
    Ok(())
}

fn is_neutral(hostname: &str) -> bool {
    matches!(hostname.trim(), "" | "localhost")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn write(path: &str, text: &str) -> Result<()> {
    match std::fs::write(path, text) {
        // A guest without /etc has no use for it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| Failure::new(format!("Cannot write `{path}`: {error}"))),
    }
}
