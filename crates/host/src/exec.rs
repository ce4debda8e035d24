//! Does what a plan wants done first and becomes the hypervisor: nothing of ours stays between.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use backend::plan::{Action, Plan};

use crate::kind::Kind;
use crate::lock::{self, RunLock};
use crate::{console, credentials, empty, macvtap, memory, socket, spawn, volume};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The state directory `{}` cannot be entered", .path.display())]
    State {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error("`preStart` ended with {status}")]
    PreStart { status: ExitStatus },
    #[error("`{}` of `extraArgsScript` ended with {status}", .program.display())]
    ExtraArgs {
        program: PathBuf,
        status: ExitStatus,
    },
    #[error("`{}` of `extraArgsScript` printed what is not UTF-8", .program.display())]
    ExtraArgsNotText { program: PathBuf },
    #[error(transparent)]
    Volume(#[from] volume::Error),
    #[error(transparent)]
    Empty(#[from] empty::Error),
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error(transparent)]
    Macvtap(#[from] macvtap::Error),
    #[error(transparent)]
    Console(#[from] console::Error),
    #[error(transparent)]
    Memory(#[from] memory::Error),
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    #[error("`{}` cannot be run", .program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::State { source, .. } => Kind::of_io(source),
            Self::Lock(error) => error.kind(),
            Self::Volume(error) => error.kind(),
            Self::Empty(error) => error.kind(),
            Self::Socket(error) => error.kind(),
            Self::Macvtap(error) => error.kind(),
            Self::Console(error) => error.kind(),
            Self::Memory(error) => error.kind(),
            Self::Credentials(error) => error.kind(),
            Self::PreStart { .. } | Self::ExtraArgs { .. } | Self::ExtraArgsNotText { .. } => {
                Kind::Other
            }
            Self::Run { .. } => Kind::Missing,
        }
    }
}

/// Runs a plan of a package in a state directory; `extra` follows the plan's own arguments. Lines for people go
/// to `say`. Returns only where it failed.
pub fn run(
    plan: &Plan,
    vm: &str,
    package: &Path,
    state: &Path,
    extra: &[OsString],
    say: &mut dyn FnMut(String),
) -> Result<Infallible, Error> {
    std::env::set_current_dir(state).map_err(|source| Error::State {
        path: state.to_owned(),
        source,
    })?;
    let state = std::env::current_dir().unwrap_or_else(|_| state.to_owned());
    let mut lock = RunLock::take(&state, vm)?;
    lock.describe(&plan.control, package)?;
    let mut ready = Ready::default();
    for action in &plan.before {
        ready.perform(action, say)?;
    }
    become_hypervisor(plan, ready, extra, lock)
}

/// What actions leave for the hypervisor.
#[derive(Default)]
struct Ready {
    args: Vec<String>,
    descriptors: Vec<OwnedFd>,
}

impl Ready {
    fn perform(&mut self, action: &Action, say: &mut dyn FnMut(String)) -> Result<(), Error> {
        match action {
            Action::PreStart(commands) => pre_start(commands)?,
            Action::PrepareVolume(wanted) => {
                for note in volume::prepare(wanted)? {
                    say(note.to_string());
                }
            }
            Action::CheckRaw(image) => volume::disguise::check(image)?,
            Action::EmptyDirectory(path) => empty::directory(path)?,
            Action::RemoveStaleSocket(path) => socket::remove_stale(path)?,
            Action::OpenMacvtap {
                id,
                queues,
                first_fd,
                ..
            } => {
                self.descriptors
                    .extend(macvtap::open(id, *queues, *first_fd)?);
            }
            Action::PassFile { name, content, fd } => {
                self.descriptors
                    .push(memory::file(name, content.as_bytes(), *fd)?);
            }
            Action::CheckCredentials(files) => credentials::read(files).map(drop)?,
            Action::PassCredentials { files, fd } => {
                let disk = credentials::disk(files)?;
                self.descriptors
                    .push(memory::disk("credentials", &disk, *fd)?);
            }
            Action::Say(line) => say(line.clone()),
            Action::ExtraArgs(program) => self.args.extend(extra_args(program)?),
        }
        Ok(())
    }
}

fn pre_start(commands: &str) -> Result<(), Error> {
    let shell = Path::new("/bin/sh");
    let mut command = Command::new(shell);
    command.args(["-e", "-c", commands]).stdin(Stdio::null());
    let status = command.status().map_err(running(shell))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::PreStart { status })
    }
}

fn extra_args(program: &Path) -> Result<Vec<String>, Error> {
    let output = Command::new(program)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(running(program))?;
    let program = program.to_owned();
    if !output.status.success() {
        return Err(Error::ExtraArgs {
            program,
            status: output.status,
        });
    }
    let text = String::from_utf8(output.stdout).map_err(|_| Error::ExtraArgsNotText { program })?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn running(program: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let program = program.to_owned();
    move |source| Error::Run { program, source }
}

/// The plan's, then what a program and the command line added. What is not UTF-8 comes last as it
/// is, for a hypervisor's own syntax is text.
fn arguments(plan: &Plan, more: &[String], extra: &[OsString]) -> Vec<OsString> {
    let texts: Vec<String> = extra
        .iter()
        .map_while(|argument| argument.to_str().map(str::to_owned))
        .collect();
    let rest = extra[texts.len()..].iter().cloned();
    let all = plan.argv.with(&[more, texts.as_slice()].concat());
    all.into_iter().map(OsString::from).chain(rest).collect()
}

/// Every descriptor that is not the hypervisor's is closed on exec.
fn become_hypervisor(
    plan: &Plan,
    mut ready: Ready,
    extra: &[OsString],
    lock: RunLock,
) -> Result<Infallible, Error> {
    let program = &plan.argv.program;
    let mut command = Command::new(program);
    if let Some(name) = &plan.argv.process_name {
        command.arg0(name);
    }
    command.args(arguments(plan, &ready.args, extra));
    command.envs(&plan.argv.env);
    // It is ours to tell systemd.
    command.env_remove("NOTIFY_SOCKET");
    spawn::ignore_broken_pipes(&mut command);
    if let Some(ends) = console::keep(plan)? {
        let output = ends.slave.try_clone().map_err(running(program))?;
        command.stdin(ends.slave).stdout(output);
        ready.descriptors.extend(ends.events);
    }
    for descriptor in &ready.descriptors {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())
            .map_err(|error| running(program)(error.into()))?;
    }
    let _lock = lock
        .leave_to_exec()
        .map_err(|error| running(program)(error.into()))?;
    spawn::allow_all_signals().map_err(running(program))?;
    Err(running(program)(command.exec()))
}
