//! Runs other programs: bounded by an interrupt, their words kept for the error.
//!
//! Never through a shell.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, io_at};

/// How long an interrupted program may take to clean up; mmdebstrap unmounts and deletes its tree.
const GRACE: Duration = Duration::from_secs(20);
/// Pipes can outlive the program, in a daemon that a package's script started.
const DRAIN: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(20);

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A program with its arguments and the Debian package that has it.
pub(crate) struct Tool {
    package: &'static str,
    command: Command,
    writes_to: Option<PathBuf>,
}

impl Tool {
    /// `program` is looked up on PATH and in the `sbin` directories that users lack there.
    pub(crate) fn new(program: impl AsRef<OsStr>, package: &'static str) -> Self {
        let mut command = Command::new(program);
        command
            .env("PATH", search_path())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        // What the hook starts ends with the group that it is in.
        if std::env::var_os(crate::hook::ENV).is_none() {
            command.process_group(0);
        }
        Self {
            package,
            command,
            writes_to: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Drops the caller's environment, for programs whose result must not depend on it.
    pub(crate) fn clean_env(mut self) -> Self {
        self.command
            .env_clear()
            .env("PATH", search_path())
            .env("LC_ALL", "C.UTF-8");
        self
    }

    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Names the place that is full when the program says that a disk is.
    pub(crate) fn writes_to(mut self, place: &Path) -> Self {
        self.writes_to = Some(place.to_owned());
        self
    }

    /// Runs to the end, each line handed to `on_line`.
    pub(crate) fn run(
        mut self,
        interrupted: &AtomicBool,
        on_line: &mut dyn FnMut(Stream, &str),
    ) -> Result<(), Error> {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let mut child = self.spawn()?;
        let lines = read_lines(&mut child);
        let mut said = Said::default();
        let mut ended: Option<Instant> = None;
        loop {
            match lines.recv_timeout(TICK) {
                Ok((stream, line)) => {
                    said.keep(stream, &line);
                    on_line(stream, &line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if interrupted.load(Ordering::Relaxed) {
                stop(&mut child);
                return Err(Error::Interrupted);
            }
            if ended.is_none() && matches!(child.try_wait(), Ok(Some(_))) {
                ended = Some(Instant::now());
            }
            if ended.is_some_and(|at| at.elapsed() > DRAIN) {
                break;
            }
        }
        self.finish(&mut child, interrupted, &said)
    }

    /// Runs to the end and gives its standard output.
    pub(crate) fn output(self, interrupted: &AtomicBool) -> Result<String, Error> {
        let mut text = String::new();
        self.run(interrupted, &mut |stream, line| {
            if stream == Stream::Out {
                text.push_str(line);
                text.push('\n');
            }
        })?;
        Ok(text)
    }

    fn spawn(&mut self) -> Result<Child, Error> {
        self.command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                // Denied: some directory of PATH cannot be entered, and no other has it.
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                    Error::MissingProgram {
                        program: self.name(),
                        package: self.package,
                    }
                }
                _ => io_at("run", Path::new(self.command.get_program()))(error),
            })
    }

    /// Waits for a program whose pipes are closed.
    fn finish(
        &self,
        child: &mut Child,
        interrupted: &AtomicBool,
        said: &Said,
    ) -> Result<(), Error> {
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if interrupted.load(Ordering::Relaxed) => {
                    stop(child);
                    return Err(Error::Interrupted);
                }
                Ok(None) => thread::sleep(TICK),
                Err(error) => {
                    return Err(io_at("wait for", Path::new(self.command.get_program()))(
                        error,
                    ));
                }
            }
        };
        match (status.success(), said.disk_full, &self.writes_to) {
            (true, ..) => Ok(()),
            (false, true, Some(place)) => Err(Error::NoSpace {
                place: place.clone(),
            }),
            _ => Err(Error::Failed {
                program: self.name(),
                reason: said.reason(&status.to_string()),
            }),
        }
    }

    fn name(&self) -> String {
        let program = Path::new(self.command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// The lines that explain a failure.
#[derive(Default)]
struct Said {
    errors: Vec<String>,
    last: Vec<String>,
    disk_full: bool,
}

impl Said {
    const LINES: usize = 6;

    fn keep(&mut self, stream: Stream, line: &str) {
        let line = line.trim();
        if line.contains("No space left on device") || line.contains("Disk quota exceeded") {
            self.disk_full = true;
        }
        if line.is_empty() {
            return;
        }
        if is_error(line) {
            push_bounded(&mut self.errors, line, Self::LINES);
        }
        if stream == Stream::Err {
            push_bounded(&mut self.last, line, Self::LINES / 2);
        }
    }

    fn reason(&self, status: &str) -> String {
        match (self.errors.is_empty(), self.last.is_empty()) {
            (false, _) => self.errors.join("; "),
            (true, false) => self.last.join("; "),
            (true, true) => status.to_owned(),
        }
    }
}

fn is_error(line: &str) -> bool {
    const MARKS: [&str; 6] = [
        "E: ",
        "<E> ",
        "dpkg: error",
        "dpkg-deb: error",
        "FATAL",
        "Error: ",
    ];
    MARKS.iter().any(|mark| line.starts_with(mark))
}

fn push_bounded(lines: &mut Vec<String>, line: &str, bound: usize) {
    if lines.last().is_some_and(|last| last == line) {
        return;
    }
    if lines.len() == bound {
        lines.remove(0);
    }
    lines.push(line.to_owned());
}

fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

fn read_lines(child: &mut Child) -> Receiver<(Stream, String)> {
    let (sender, receiver) = mpsc::channel();
    let read = |stream, pipe: Option<Box<dyn Read + Send>>| {
        let sender = sender.clone();
        let Some(pipe) = pipe else { return };
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send((stream, line)).is_err() {
                    return;
                }
            }
        });
    };
    read(Stream::Out, child.stdout.take().map(|p| Box::new(p) as _));
    read(Stream::Err, child.stderr.take().map(|p| Box::new(p) as _));
    receiver
}

/// Ends the program and all that it started, gently at first.
fn stop(child: &mut Child) {
    let group = Pid::from_raw(child.id() as i32);
    let _ = killpg(group, Signal::SIGTERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(TICK);
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::new("sh", "dash").arg("-c").arg(script)
    }

    #[test]
    fn missing_program_names_its_package() {
        let error = Tool::new("no-such-program", "some-package")
            .output(&AtomicBool::new(false))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Program `no-such-program` is not installed; Debian has it in the package `some-package`"
        );
    }

    #[test]
    fn failure_tells_the_lines_that_say_why() {
        let error = shell("echo noise; echo 'E: bad thing' >&2; echo later >&2; exit 3")
            .output(&AtomicBool::new(false))
            .unwrap_err();
        assert_eq!(error.to_string(), "`sh` failed: E: bad thing");
    }

    #[test]
    fn full_disk_names_the_place() {
        let error = shell("echo 'cp: No space left on device' >&2; exit 1")
            .writes_to(Path::new("/store"))
            .output(&AtomicBool::new(false))
            .unwrap_err();
        assert_eq!(error.to_string(), "The file system of `/store` is full");
    }

    #[test]
    fn interrupt_ends_the_program_and_its_children() {
        let interrupted = AtomicBool::new(false);
        let mut seen = String::new();
        let error = shell("sleep 100 & echo $!; wait")
            .run(&interrupted, &mut |_, line| {
                seen = line.to_owned();
                interrupted.store(true, Ordering::Relaxed);
            })
            .unwrap_err();
        assert!(matches!(error, Error::Interrupted));
        thread::sleep(Duration::from_millis(100));
        assert!(!Path::new("/proc").join(&seen).join("exe").exists());
    }

    #[test]
    fn daemon_that_keeps_the_pipe_does_not_hold_us() {
        let start = Instant::now();
        shell("sleep 20 & echo done")
            .output(&AtomicBool::new(false))
            .unwrap();
        assert!(start.elapsed() < Duration::from_secs(15));
    }
}
