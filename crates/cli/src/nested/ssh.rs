//! SSH into the VM and, through it, into those in it. None has a password.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Error, Kind, OrKind, Result};

/// The VM itself, for [`Ssh`]; any other name is that of a VM in it.
pub const OUTER: &str = "microvm-vm";

/// How long a server may take to greet whom it has let connect.
const GREETING: Duration = Duration::from_secs(10);

/// A client with a configuration of its own, and one connection that is kept open.
pub struct Ssh {
    config: PathBuf,
}

impl Ssh {
    pub fn new(directory: &Path, port: u16) -> Result<Self> {
        let config = directory.join("ssh_config");
        let text = format!(
            "Host {OUTER}\n  HostName 127.0.0.1\n  Port {port}\n\
             Host * !{OUTER}\n  HostName %h.microvm\n  ProxyJump {OUTER}\n\
             Host *\n  User root\n  ControlPath \"{}/%C\"\n  BatchMode yes\n  LogLevel ERROR\n  \
             PreferredAuthentications none,password\n  StrictHostKeyChecking no\n  \
             UserKnownHostsFile /dev/null\n  ConnectTimeout 120\n  ServerAliveInterval 60\n",
            directory.display()
        );
        std::fs::write(&config, text).or_kind(Kind::Storage)?;
        Ok(Self { config })
    }

    /// Connects to the VM, and stays connected for what follows.
    pub fn connect(&self) -> bool {
        let mut ssh = self.command();
        ssh.args(["-M", "-N", "-f", OUTER]);
        ssh.stdout(Stdio::null()).stderr(Stdio::null());
        ssh.status().is_ok_and(|status| status.success())
    }

    /// Gives that connection up.
    pub fn disconnect(&self) {
        let mut ssh = self.command();
        ssh.args(["-O", "exit", OUTER]);
        ssh.stdout(Stdio::null()).stderr(Stdio::null());
        let _ = ssh.status();
    }

    /// Runs words that no shell takes for anything else; gives what they printed.
    pub fn run(&self, at: &str, words: &[&str]) -> Result<String> {
        let output = self.command().arg(at).arg("--").args(words).output();
        let output = output.or_kind(Kind::Missing)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!(
            "`{}` failed in `{at}`: {}",
            words.join(" "),
            said.trim_end()
        );
        Err(Error::new(Kind::Other, message))
    }

    /// Whether a VM in the VM has a server that greets as SSH does.
    pub fn greets(&self, name: &str) -> bool {
        let mut ssh = self.command();
        ssh.args(["-W", &format!("{name}.microvm:22"), OUTER]);
        let ssh = ssh.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut ssh) = ssh else { return false };
        let (sender, receiver) = mpsc::channel();
        let stdout = ssh.stdout.take();
        std::thread::spawn(move || {
            let mut greeting = [0; 4];
            let read = stdout.map(|mut stdout| stdout.read_exact(&mut greeting));
            let _ = sender.send(matches!(read, Some(Ok(()))) && &greeting == b"SSH-");
        });
        let greets = receiver.recv_timeout(GREETING).unwrap_or(false);
        let _ = ssh.kill();
        let _ = ssh.wait();
        greets
    }

    fn command(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&self.config).stdin(Stdio::null());
        ssh
    }
}
