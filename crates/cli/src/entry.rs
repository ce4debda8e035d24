//! The entries of a runner package's bin/, and what the program starts itself as.

use std::ffi::{CStr, OsStr, OsString};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use spec::names::VmName;

use crate::error::Result;
use crate::package;
use crate::places::Places;
use crate::runner::Runner;
use crate::verbs::Live;
use crate::ways;

/// What this process was called as, where that is not `microvm`.
pub enum Entry {
    /// One of bin/, with its runner package.
    Runner { verb: Verb, package: PathBuf },
    /// The part of a build that runs in the image's name space.
    ImageHook { root: PathBuf },
    /// The daemon of one virtiofs share.
    Share { options: String },
    /// What looks after one VM of the state directory.
    VmKeeper { told: String },
    /// What keeps the dnsmasq of a network.
    NetworkKeeper { told: String },
    /// What becomes a process of such a VM.
    VmPart { told: String },
    /// What tells systemd when a VM runs.
    VmWatch { name: VmName, package: PathBuf },
    /// What ssh(1) is given as its connection to a guest.
    VsockRelay,
    /// QEMU's helper for one connection of the guest to a port forwarded from it.
    Relay { address: Ipv4Addr, port: u16 },
    /// The hypervisor that is built in.
    Alioth { arguments: Vec<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Run,
    Live(Live),
    TapUp,
    TapDown,
    MacvtapUp,
    MacvtapDown,
    PciSetup,
    VirtiofsdRun,
    Register,
    Unregister,
}

impl Verb {
    fn named(name: &OsStr) -> Option<Self> {
        Some(match name.to_str()? {
            "microvm-run" => Self::Run,
            "microvm-shutdown" => Self::Live(Live::Shutdown),
            "microvm-balloon" => Self::Live(Live::Balloon),
            "microvm-pause" => Self::Live(Live::Pause),
            "microvm-resume" => Self::Live(Live::Resume),
            "microvm-status" => Self::Live(Live::Status),
            "microvm-console" => Self::Live(Live::Console),
            "tap-up" => Self::TapUp,
            "tap-down" => Self::TapDown,
            "macvtap-up" => Self::MacvtapUp,
            "macvtap-down" => Self::MacvtapDown,
            "pci-setup" => Self::PciSetup,
            "virtiofsd-run" => Self::VirtiofsdRun,
            "microvm-register" => Self::Register,
            "microvm-unregister" => Self::Unregister,
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
            return Some(Self::Runner {
                verb,
                package: package_of(&called)?,
            });
        }
        if std::env::args_os()
            .nth(1)
            .is_some_and(|first| first == ways::VSOCK_RELAY)
        {
            return Some(Self::VsockRelay);
        }
        let mut arguments = arguments.map_while(|argument| argument.into_string().ok());
        let command = arguments.next()?;
        match (command.as_str(), arguments.next()?) {
            (host::virtiofs::SERVE_COMMAND, options) => Some(Self::Share { options }),
            (host::service::KEEPER_COMMAND, told) => Some(Self::VmKeeper { told }),
            (host::network::KEEPER_COMMAND, told) => Some(Self::NetworkKeeper { told }),
            (host::service::PART_COMMAND, told) => Some(Self::VmPart { told }),
            (host::service::WATCH_COMMAND, name) => Some(Self::VmWatch {
                name: name.try_into().ok()?,
                package: arguments.next()?.into(),
            }),
            ("relay", address) => {
                let (address, port) = (address.parse().ok()?, arguments.next()?.parse().ok()?);
                Some(Self::Relay { address, port })
            }
            (host::alioth::COMMAND, command) => Some(Self::Alioth {
                arguments: std::iter::once(command).chain(arguments).collect(),
            }),
            _ => None,
        }
    }

    pub fn run(self) -> Result<ExitCode> {
        let (verb, package) = match self {
            Self::ImageHook { root } => return Ok(image::hook::hook_main(&root)),
            Self::Share { options } => return Ok(host::virtiofs::serve_main(&options)),
            Self::VmKeeper { told } => return Ok(host::service::keeper_main(&told)),
            Self::NetworkKeeper { told } => return Ok(host::network::keeper_main(&told)),
            Self::VmPart { told } => return Ok(host::service::part_main(&told)),
            Self::VsockRelay => return ways::relay_vsock(),
            Self::VmWatch { name, package } => {
                host::service::watch(&package, &name);
                return Ok(ExitCode::SUCCESS);
            }
            Self::Relay { address, port } => {
                host::relay::run(address, port)?;
                return Ok(ExitCode::SUCCESS);
            }
            Self::Alioth { arguments } => {
                host::alioth::run(&arguments)?;
                return Ok(ExitCode::SUCCESS);
            }
            Self::Runner { verb, package } => (verb, package),
        };
        let runner = Runner::in_directory(&package, Path::new("."))?;
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        match verb {
            Verb::Run => runner.become_hypervisor(&arguments, &Places::of_this_user()),
            Verb::Live(verb) => runner.live(verb, &arguments),
            Verb::VirtiofsdRun => runner.serve_shares(),
            Verb::Register => runner.register(&arguments),
            Verb::Unregister => runner.unregister(),
            Verb::TapUp => runner.taps_up(),
            Verb::TapDown => runner.taps_down(),
            Verb::MacvtapUp => runner.macvtaps_up(),
            Verb::PciSetup => runner.pci_set_up(),
            Verb::MacvtapDown => runner.macvtaps_down(),
        }
    }
}

/// The path that was executed: from the kernel, for argv[0] is whatever the caller wrote there.
fn called_as() -> Option<PathBuf> {
    #[expect(
        unsafe_code,
        reason = "std does not give AT_EXECFN; the kernel's string lives as long as the process"
    )]
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
