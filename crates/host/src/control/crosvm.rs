//! The verbs by crosvm itself: the protocol on its socket is that of its own version alone.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::client::{Client, RunState};
use super::{Error as Failure, PATIENCE};
use crate::kind::Kind;
use crate::process::Process;
use crate::socket;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No VM runs behind `{}`", .socket.display())]
    NotRunning { socket: PathBuf },
    #[error("`{} {verb}` cannot be run; crosvm is looked for on PATH and in MICROVM_HYPERVISORS, unless `crosvm.package` names it", .program.display())]
    Run {
        program: PathBuf,
        verb: &'static str,
        source: std::io::Error,
    },
    #[error("`crosvm {verb}` had no answer within {} s", PATIENCE.as_secs())]
    Silent { verb: &'static str },
    #[error("`crosvm {verb}` failed: {said}")]
    Refused { verb: &'static str, said: String },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotRunning { .. } => Kind::NotFound,
            Self::Run { .. } => Kind::Missing,
            Self::Silent { .. } => Kind::Busy,
            Self::Refused { .. } => Kind::Hypervisor,
        }
    }
}

/// A crosvm that runs, and the program that speaks to it.
pub struct Crosvm {
    program: PathBuf,
    socket: PathBuf,
    vm: String,
    /// Memory in MiB that the guest was started with, where it has a balloon.
    balloon_of: Option<u64>,
}

/// `balloon_of` is the memory in MiB of a guest that has a balloon.
pub fn connect(
    program: &Path,
    socket: &Path,
    vm: &str,
    balloon_of: Option<u64>,
) -> Result<Crosvm, Error> {
    let crosvm = Crosvm {
        program: program.to_owned(),
        socket: socket.to_owned(),
        vm: vm.to_owned(),
        balloon_of,
    };
    if crosvm.listens() {
        Ok(crosvm)
    } else {
        Err(crosvm.not_running())
    }
}

/// What `crosvm balloon_stats` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    balloon_stats: Balloon,
}

#[derive(Deserialize)]
struct Balloon {
    /// In bytes.
    balloon_actual: u64,
}

impl Crosvm {
    /// The socket is one of packets, which a stream cannot join: that too tells that it is live.
    fn listens(&self) -> bool {
        match socket::connect(&self.socket, Duration::ZERO) {
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ),
        }
    }

    fn not_running(&self) -> Error {
        let socket = self.socket.clone();
        Error::NotRunning { socket }
    }

    fn process(&self) -> Option<Process> {
        Process::of_lock(Path::new("."), &self.vm)
    }

    /// Runs a command of crosvm's that takes the socket last, and gives what it prints. It waits
    /// without a bound for its answer, and so is ended.
    fn run(&self, verb: &'static str, arguments: &[String]) -> Result<String, Error> {
        const STEP: Duration = Duration::from_millis(10);
        let run = |source| Error::Run {
            program: self.program.clone(),
            verb,
            source,
        };
        let mut command = Command::new(&self.program);
        command.arg(verb).args(arguments).arg(&self.socket);
        command.stdin(Stdio::null());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(run)?;
        let deadline = Instant::now() + PATIENCE;
        // What it prints is short, and waits in the pipes.
        let status = loop {
            match child.try_wait().map_err(run)? {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(STEP),
                None => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Error::Silent { verb });
                }
            }
        };
        let printed = text(child.stdout.take());
        if status.success() {
            return Ok(printed);
        }
        if !self.listens() {
            return Err(self.not_running());
        }
        let said = last_error(&text(child.stderr.take()));
        Err(Error::Refused { verb, said })
    }

    fn plain(&self, verb: &'static str) -> Result<(), Failure> {
        self.run(verb, &[])?;
        Ok(())
    }
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `[2025-11-25T14:18:31+00:00 ERROR vm_control::client] the reason` has the reason.
fn last_error(said: &str) -> String {
    let mut errors = said.lines().filter(|line| line.contains(" ERROR "));
    let line = errors.next().or_else(|| said.lines().last());
    let line = line.unwrap_or("no reason given");
    let reason = line.split_once("] ").map_or(line, |(_, reason)| reason);
    reason.trim().to_owned()
}

impl Client for Crosvm {
    fn process(&self) -> Option<Process> {
        self.process()
    }

    /// crosvm does not tell. While the guest is paused each vCPU's thread waits for a message,
    /// and not in KVM.
    fn state(&mut self) -> Result<RunState, Failure> {
        let waits = |process: Process| vcpus_wait(&process.directory(Path::new("/proc")));
        Ok(match self.process().and_then(waits) {
            Some(true) => RunState::Paused,
            Some(false) => RunState::Running,
            None => RunState::Unknown,
        })
    }

    /// A paused guest sees no button.
    fn power_down(&mut self) -> Result<(), Failure> {
        self.plain("resume")?;
        self.plain("powerbtn")
    }

    fn quit(&mut self) -> Result<(), Failure> {
        self.plain("stop")
    }

    fn pause(&mut self) -> Result<(), Failure> {
        self.plain("suspend")
    }

    fn resume(&mut self) -> Result<(), Failure> {
        self.plain("resume")
    }

    fn set_balloon(&mut self, mib: u64) -> Result<(), Failure> {
        let memory = self.balloon_of.ok_or(Failure::NoBalloon)?;
        let bytes = memory.saturating_sub(mib) << 20;
        self.run("balloon", &[bytes.to_string()])?;
        Ok(())
    }

    fn balloon(&mut self) -> Result<u64, Failure> {
        let memory = self.balloon_of.ok_or(Failure::NoBalloon)?;
        let verb = "balloon_stats";
        let printed = self.run(verb, &[])?;
        match serde_json::from_str::<Answer>(&printed) {
            Ok(answer) => Ok(memory.saturating_sub(answer.balloon_stats.balloon_actual >> 20)),
            Err(error) => {
                let said = error.to_string();
                Err(Error::Refused { verb, said }.into())
            }
        }
    }
}

/// Whether all threads of vCPUs wait in futex(2); `None` where that cannot be seen.
fn vcpus_wait(process: &Path) -> Option<bool> {
    let tasks = std::fs::read_dir(process.join("task")).ok()?;
    let mut waits: Option<bool> = None;
    for task in tasks.flatten().map(|entry| entry.path()) {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        if name.starts_with("crosvm_vcpu") {
            let place = std::fs::read_to_string(task.join("wchan")).ok()?;
            waits = Some(waits.unwrap_or(true) && place.starts_with("futex"));
        }
    }
    waits
}

#[cfg(test)]
mod tests {

    use super::*;

    fn process(threads: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (id, (name, place)) in threads.iter().enumerate() {
            let task = dir.path().join("task").join(id.to_string());
            std::fs::create_dir_all(&task).unwrap();
            std::fs::write(task.join("comm"), format!("{name}\n")).unwrap();
            std::fs::write(task.join("wchan"), place).unwrap();
        }
        dir
    }

    #[rstest::rstest]
    #[case(&[("microvm@web", "do_epoll_wait"), ("crosvm_vcpu0", "futex_wait_queue")], Some(true))]
    #[case(&[("crosvm_vcpu0", "futex_wait_queue"), ("crosvm_vcpu1", "0")], Some(false))]
    #[case(&[("crosvm_vcpu0", "kvm_vcpu_block")], Some(false))]
    #[case(&[("microvm@web", "futex_wait_queue")], None)]
    fn where_vcpus_wait(#[case] threads: &[(&str, &str)], #[case] expected: Option<bool>) {
        assert_eq!(vcpus_wait(process(threads).path()), expected);
    }

    /// A crosvm whose socket somebody listens on.
    fn crosvm(dir: &Path, body: &str) -> (Crosvm, std::os::fd::OwnedFd) {
        let program = dir.join("crosvm");
        crate::program::script(&program, body);
        let socket = dir.join("web.sock");
        let (family, kind) = (
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
        );
        let listener = rustix::net::socket(family, kind, None).unwrap();
        let address = rustix::net::SocketAddrUnix::new(&socket).unwrap();
        rustix::net::bind(&listener, &address).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let client = connect(&program, &socket, "web", Some(512)).unwrap();
        (client, listener)
    }

    #[test]
    fn a_balloon_is_counted_from_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let body = r#"echo "$@" >> "${0%/*}/said"
case $1 in balloon_stats) echo '{"BalloonStats": {"stats": {"free_memory": 5}, "balloon_actual": 134217728}}';; esac"#;
        let (mut client, _listener) = crosvm(dir.path(), body);
        client.set_balloon(384).unwrap();
        assert_eq!(client.balloon().unwrap(), 384);
        let said = std::fs::read_to_string(dir.path().join("said")).unwrap();
        assert!(said.starts_with("balloon 134217728 /"), "{said}");
        client.balloon_of = None;
        assert!(matches!(client.set_balloon(1), Err(Failure::NoBalloon)));
    }

    #[test]
    fn what_it_refuses_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let body = "echo '[2025-11-25T14:18:31+00:00 ERROR vm_control] no such thing' >&2; exit 1";
        let (mut client, listener) = crosvm(dir.path(), body);
        let error = client.pause().unwrap_err();
        assert_eq!(error.to_string(), "`crosvm suspend` failed: no such thing");
        drop(listener);
        assert_eq!(client.pause().unwrap_err().kind(), Kind::NotFound);
    }
}
