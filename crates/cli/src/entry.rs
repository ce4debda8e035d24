//! The entries of a runner package's bin/, and what the program starts itself as.

use std::ffi::{CStr, OsStr, OsString};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::{Kind, OrKind, Result};
use crate::package;
use crate::places::Places;
use crate::runner::Runner;

/// What this process was called as, where that is not `microvm`.
pub enum Entry {
    /// One of bin/, with its runner package.
    Runner { verb: Verb, package: PathBuf },
    /// The part of a build that runs in the image's name space.
    ImageHook { root: PathBuf },
    /// The daemon of one virtiofs share.
    Share { options: String },
    /// QEMU's helper for one connection of the guest to a port forwarded from it.
    Relay { address: String, port: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Run,
    Shutdown,
    Balloon,
    TapUp,
    TapDown,
    MacvtapUp,
    MacvtapDown,
    VirtiofsdRun,
}

impl Verb {
    fn named(name: &OsStr) -> Option<Self> {
        Some(match name.to_str()? {
            "microvm-run" => Self::Run,
            "microvm-shutdown" => Self::Shutdown,
            "microvm-balloon" => Self::Balloon,
            "tap-up" => Self::TapUp,
            "tap-down" => Self::TapDown,
            "macvtap-up" => Self::MacvtapUp,
            "macvtap-down" => Self::MacvtapDown,
            "virtiofsd-run" => Self::VirtiofsdRun,
            _ => return None,
        })
    }
}

impl Entry {
    /// `None` where the program was called as itself.
    pub fn of_this_process() -> Option<Self> {
        let mut arguments = std::env::args_os().skip(1);
        if std::env::var_os(image::hook::ENV).is_some() {
            let root = arguments.next().unwrap_or_default().into();
            return Some(Self::ImageHook { root });
        }
        let called = called_as()?;
        if let Some(verb) = called.file_name().and_then(Verb::named) {
            return Some(Self::Runner { verb, package: package_of(&called)? });
        }
        let mut arguments = arguments.map_while(|argument| argument.into_string().ok());
        let command = arguments.next()?;
        match (command.as_str(), arguments.next()?) {
            (host::virtiofs::SERVE_COMMAND, options) => Some(Self::Share { options }),
            ("relay", address) => {
                let port = arguments.next()?.parse().ok()?;
                Some(Self::Relay { address, port })
            }
            _ => None,
        }
    }

    pub fn run(self) -> Result<ExitCode> {
        let (verb, package) = match self {
            Self::ImageHook { root } => return Ok(image::hook::hook_main(&root)),
            Self::Share { options } => return Ok(host::virtiofs::serve_main(&options)),
            Self::Relay { address, port } => return relay(&address, port),
            Self::Runner { verb, package } => (verb, package),
        };
        let runner = Runner::open(&package)?;
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        match verb {
            Verb::Run => runner.become_hypervisor(&arguments, &Places::of_this_user()),
            Verb::Shutdown => runner.shutdown(),
            Verb::Balloon => runner.balloon(&arguments),
            Verb::VirtiofsdRun => runner.serve_shares(),
            Verb::TapUp => runner.taps_up(),
            Verb::TapDown => runner.taps_down(),
            Verb::MacvtapUp => runner.macvtaps_up(),
            Verb::MacvtapDown => runner.macvtaps_down(),
        }
    }
}

/// Joins standard input and output to a TCP connection until both directions have ended.
fn relay(address: &str, port: u16) -> Result<ExitCode> {
    let to_host = TcpStream::connect((address, port)).or_kind(Kind::NotFound)?;
    let from_host = to_host.try_clone().or_kind(Kind::Other)?;
    let upward = std::thread::spawn(move || {
        let mut to_host = to_host;
        // Both streams end where the peer closes; there is nobody to tell.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut to_host);
        let _ = to_host.shutdown(Shutdown::Write);
    });
    let mut from_host = from_host;
    let _ = copy_through(&mut from_host, &mut std::io::stdout().lock());
    // The guest may still send, but nobody would answer.
    drop(upward);
    Ok(ExitCode::SUCCESS)
}

/// Flushes what came at once: a line buffer would hold an answer back.
fn copy_through(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = [0; 16384];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length]).and_then(|()| to.flush())?,
        }
    }
}

/// The path that was executed: from the kernel, for argv[0] is whatever the caller wrote there.
fn called_as() -> Option<PathBuf> {
    #[expect(unsafe_code, reason = "std does not give AT_EXECFN; the kernel's string lives as long as the process")]
    let executed = unsafe {
        let pointer = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        (!pointer.is_null()).then(|| CStr::from_ptr(pointer).to_bytes())
    };
    match executed {
        Some(path) => Some(PathBuf::from(OsStr::from_bytes(path))),
        None => std::env::args_os().next().map(PathBuf::from),
    }
}

/// Follows links one at a time until the directory above is a runner package.
fn package_of(called: &Path) -> Option<PathBuf> {
    let mut path = std::path::absolute(called).ok()?;
    for _ in 0..40 {
        let directory = path.parent()?.canonicalize().ok()?;
        let package = directory.parent()?;
        if package.join(package::SPEC).is_file() {
            return Some(package.to_owned());
        }
        let target = std::fs::read_link(&path).ok()?;
        path = directory.join(target);
    }
    None
}
