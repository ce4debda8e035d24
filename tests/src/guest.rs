//! A guest that runs, its console and its SSH.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Outcome;

/// Longest that an emulated guest may take to its SSH banner on a busy machine of two cores.
pub const BOOT: Duration = Duration::from_secs(400);

/// Ends with the test: killed on drop if it still runs.
pub struct Guest {
    name: String,
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    state: PathBuf,
    ssh_port: Option<u16>,
}

impl Guest {
    pub fn start(
        name: &str,
        mut command: Command,
        state: PathBuf,
        ssh_port: Option<u16>,
    ) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let stdout = child.stdout.take().ok_or("stdout was piped")?;
        let stderr = child.stderr.take().ok_or("stderr was piped")?;
        let readers = vec![collect(stdout, &printed), collect(stderr, &printed)];
        Ok(Self {
            name: name.to_owned(),
            child,
            printed,
            readers,
            state,
            ssh_port,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    /// All that was printed so far, on the console and by the program.
    pub fn console(&self) -> String {
        let printed = self.printed.lock().expect("no reader panics");
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Types into the console.
    pub fn type_in(&mut self, text: &str) -> Outcome {
        let stdin = self.child.stdin.as_mut().ok_or("stdin was piped")?;
        stdin.write_all(text.as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Waits until the console shows a text.
    pub fn expect(&mut self, text: &str, within: Duration) -> Outcome {
        let start = Instant::now();
        loop {
            if self.console().contains(text) {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > within {
                let how = ended.map_or("still runs".to_owned(), |status| {
                    format!("ended with {status}")
                });
                return Err(format!(
                    "`{}` did not show `{text}` and {how}; its end:\n{}",
                    self.name,
                    self.tail()
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until SSH answers, then runs a command; gives its stdout.
    pub fn ssh(&mut self, command: &str) -> Outcome<String> {
        self.wait_for_ssh()?;
        let output = self.ssh_command(command)?.output()?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "`{command}` in `{}` ended with {}: {stderr}",
                self.name, output.status
            )
            .into());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    pub fn wait_for_ssh(&mut self) -> Outcome<Duration> {
        self.wait_for_ssh_within(BOOT)
    }

    pub fn wait_for_ssh_within(&mut self, bound: Duration) -> Outcome<Duration> {
        let port = self.ssh_port.ok_or("this VM forwards no SSH port")?;
        let start = Instant::now();
        while !answers_ssh(port) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!(
                    "`{}` ended with {status} before SSH answered; its end:\n{}",
                    self.name,
                    self.tail()
                )
                .into());
            }
            if start.elapsed() > bound {
                return Err(format!(
                    "SSH of `{}` did not answer in {bound:?}; its console's end:\n{}",
                    self.name,
                    self.tail()
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(start.elapsed())
    }

    fn ssh_command(&self, command: &str) -> Outcome<Command> {
        let port = self.ssh_port.ok_or("this VM forwards no SSH port")?;
        let mut ssh = Command::new("ssh");
        ssh.args(["-p", &port.to_string(), "-F", "none"]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "PreferredAuthentications=none,password",
            "BatchMode=yes",
            "ConnectTimeout=60",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(["root@127.0.0.1", command]).stdin(Stdio::null());
        Ok(ssh)
    }

    pub fn signal(&self, signal: Signal) -> Outcome {
        Ok(kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            signal,
        )?)
    }

    /// Waits for the end, within a bound.
    pub fn wait(&mut self, within: Duration) -> Outcome<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                for reader in self.readers.drain(..) {
                    let _ = reader.join();
                }
                return Ok(status);
            }
            if start.elapsed() > within {
                return Err(format!(
                    "`{}` still runs after {within:?}; its console's end:\n{}",
                    self.name,
                    self.tail()
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Last lines of what was printed.
    pub fn tail(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // TERM lets the program end the hypervisor and its daemons; KILL is the last resort.
            let _ = self.signal(Signal::SIGTERM);
            let _ = self.signal(Signal::SIGTERM);
            if self.wait(Duration::from_secs(10)).is_err() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

fn collect(mut from: impl Read + Send + 'static, into: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = from.read(&mut buffer) {
            if length == 0 {
                break;
            }
            into.lock()
                .expect("no reader panics")
                .extend_from_slice(&buffer[..length]);
        }
    })
}

/// Whether a server on this port of the loopback address greets as SSH does.
pub fn answers_ssh(port: u16) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    // slirp accepts before the guest does: only the banner proves the guest.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-"
}
