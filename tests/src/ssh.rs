//! SSH into guests over connections that are kept open: a key exchange is slow in emulation.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::host::output;

/// The name that the KVM host has for [`Ssh`]; any other is reached through it.
pub const KVM_HOST: &str = "kvm-host";

/// A client with a configuration of its own; its guests let root in with an empty password.
pub struct Ssh {
    config: PathBuf,
}

impl Ssh {
    /// Configures for a KVM host whose server is on a port of the loopback address.
    pub fn new(directory: &Path, port: u16) -> Outcome<Self> {
        let config = directory.join("ssh_config");
        let sockets = directory.join("%C").display().to_string();
        let text = format!(
            "Host {KVM_HOST}\n  HostName 127.0.0.1\n  Port {port}\n\
             Host * !{KVM_HOST}\n  ProxyJump {KVM_HOST}\n\
             Host *\n  User root\n  ControlPath {sockets}\n  BatchMode yes\n  LogLevel ERROR\n  \
             PreferredAuthentications none,password\n  StrictHostKeyChecking no\n  \
             UserKnownHostsFile /dev/null\n  ConnectTimeout 300\n  \
             ServerAliveInterval 60\n  ServerAliveCountMax 5\n"
        );
        std::fs::write(&config, text)?;
        Ok(Self { config })
    }

    /// Tries to connect, and keeps the connection for the commands that follow.
    pub fn connects(&self, to: &str) -> bool {
        let mut ssh = self.ssh();
        ssh.args(["-M", "-N", "-f", to])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ssh.status().is_ok_and(|status| status.success())
    }

    /// Whether a connection of its own comes about.
    pub fn answers(&self, at: &str) -> bool {
        let mut ssh = self.ssh();
        ssh.args(["-S", "none", at, "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ssh.status().is_ok_and(|status| status.success())
    }

    /// Gives the connection up, before the guest that it leads to ends.
    pub fn forget(&self, to: &str) {
        let mut ssh = self.ssh();
        ssh.args(["-O", "exit", to])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _ = ssh.status();
    }

    /// A command line for the shell there; its stdin is empty.
    pub fn command(&self, to: &str, line: &str) -> Command {
        let mut ssh = self.ssh();
        ssh.args([to, line]);
        ssh
    }

    /// Runs a command line to its end; gives its stdout.
    pub fn run(&self, to: &str, line: &str) -> Outcome<String> {
        let printed = output(&mut self.command(to, line))
            .map_err(|failure| format!("`{line}` at {to}: {failure}"))?;
        Ok(printed.trim_end().to_owned())
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&self.config).stdin(Stdio::null());
        ssh
    }
}
