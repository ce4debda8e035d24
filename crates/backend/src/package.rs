//! The runner package of a VM as data: which files and links it has. Writes nothing.
//!
//! Names and formats below `bin` and `share/microvm` are those that MicroVM.nix's host module
//! reads, so that it can run these packages too.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::Vm;
use spec::names::VmName;
use spec::vm::{Device, Hypervisor, Interface, InterfaceKind, MacvtapMode, RootShare, ShareProto};

use crate::control::{self, Api, Control};
use crate::features::{self, Feature};
use crate::plan::GuestFiles;
use crate::{backends, root_share};

/// What `share/microvm/spec.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    pub version: u32,
    pub vm: Vm,
    pub guest: GuestFiles,
}

/// Why a runner package cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error(
        "The runner package has format version {found}; this program reads {}",
        Runner::VERSION
    )]
    Version { found: u32 },
    #[error("Not the description of a runner package")]
    Invalid { source: serde_json::Error },
    #[error("A path in the description of the VM `{vm}` is not valid UTF-8")]
    Path {
        vm: String,
        source: serde_json::Error,
    },
}

impl Runner {
    /// Raised with each change that older programs would misread.
    pub const VERSION: u32 = 1;

    /// Reads `spec.json`; the version first, so that a newer one is called that.
    pub fn parse(text: &str) -> Result<Self, RunnerError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let invalid = |source| RunnerError::Invalid { source };
        let head: Head = serde_json::from_str(text).map_err(invalid)?;
        if head.version != Self::VERSION {
            return Err(RunnerError::Version {
                found: head.version,
            });
        }
        serde_json::from_str(text).map_err(invalid)
    }

    /// The same under the name that a host has it under: what has a name that follows from it is
    /// called otherwise too.
    #[must_use]
    pub fn named(mut self, name: VmName) -> Self {
        self.vm.name = name;
        self
    }

    fn to_json(&self) -> Result<String, RunnerError> {
        let text = serde_json::to_string_pretty(self).map_err(|source| RunnerError::Path {
            vm: self.vm.name.to_string(),
            source,
        })?;
        Ok(text + "\n")
    }
}

/// One file or link of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the package.
    pub path: PathBuf,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(String),
    /// A symbolic link and where it leads.
    Link(PathBuf),
}

/// The whole package. `system` is the store path that stands for the guest's system,
/// `program_exe` the `microvm` binary, which knows by the name it is called under what to do.
pub fn entries(
    vm: &Vm,
    guest: &GuestFiles,
    system: &Path,
    program_exe: &Path,
) -> Result<Vec<Entry>, RunnerError> {
    let runner = Runner {
        version: Runner::VERSION,
        vm: vm.clone(),
        guest: guest.clone(),
    };
    let mut entries: Vec<Entry> = commands(vm)
        .into_iter()
        .map(|name| link(Path::new("bin").join(name), program_exe))
        .collect();
    entries.push(share("spec.json", runner.to_json()?));
    entries.push(link(PathBuf::from("share/microvm/system"), system));
    entries.push(share("hypervisor", line(features::name(vm.hypervisor))));
    entries.extend(network(vm));
    entries.extend(devices(vm));
    entries.extend(virtiofs(vm, guest));
    Ok(entries)
}

fn link(path: PathBuf, target: &Path) -> Entry {
    Entry {
        path,
        content: Content::Link(target.to_owned()),
    }
}

fn share(name: impl AsRef<Path>, text: String) -> Entry {
    Entry {
        path: Path::new("share/microvm").join(name),
        content: Content::File(text),
    }
}

/// `None` for an empty list: the host looks for the file, not into it.
fn lines(name: &str, lines: Vec<String>) -> Option<Entry> {
    let text: String = lines.iter().map(line).collect();
    (!lines.is_empty()).then(|| share(name, text))
}

fn line(text: impl std::fmt::Display) -> String {
    format!("{text}\n")
}

/// Names below `bin`, each only where the VM has a use for it.
fn commands(vm: &Vm) -> Vec<&'static str> {
    let has = |wanted: fn(&InterfaceKind) -> bool| vm.interfaces.iter().any(|i| wanted(&i.kind));
    let can = |feature: Feature| feature.support(vm.hypervisor).is_possible();
    let has_tap = has(|kind| matches!(kind, InterfaceKind::Tap { .. }));
    let has_macvtap = has(|kind| matches!(kind, InterfaceKind::Macvtap { .. }));
    let is_pci = |device: &Device| matches!(device, Device::Pci { .. });
    let has_pci = vm.devices.iter().any(is_pci);
    let ways = Control::of(vm, Path::new(""));
    let has_api = ways.api != Api::None;
    let has_balloon = vm.memory.balloon.is_some() && can(Feature::Balloon);
    let has_pause = has_api && can(Feature::Pause);
    let has_stop = has_api || ways.agent.is_some();
    [
        ("microvm-run", true),
        ("microvm-shutdown", has_stop && can(Feature::GracefulStop)),
        ("microvm-balloon", has_balloon && has_api),
        ("microvm-pause", has_pause),
        ("microvm-resume", has_pause),
        ("microvm-status", true),
        ("microvm-console", control::has_console(vm)),
        ("tap-up", has_tap),
        ("tap-down", has_tap),
        ("macvtap-up", has_macvtap),
        ("macvtap-down", has_macvtap),
        ("pci-setup", has_pci),
        ("virtiofsd-run", !virtiofs_shares(vm).is_empty()),
        ("microvm-register", vm.register_with_machined),
        ("microvm-unregister", vm.register_with_machined),
    ]
    .into_iter()
    .filter_map(|(name, wanted)| wanted.then_some(name))
    .collect()
}

fn network(vm: &Vm) -> Vec<Entry> {
    let tap = |interface: &Interface| match interface.kind {
        InterfaceKind::Tap { .. } => Some(interface.id.to_string()),
        _ => None,
    };
    let macvtap = |interface: &Interface| match &interface.kind {
        InterfaceKind::Macvtap { link, mode } => {
            let (id, mac) = (&interface.id, &interface.mac);
            Some(format!("{id} {mac} {link} {}", mode_name(*mode)))
        }
        _ => None,
    };
    // The file is always there: hosts read it without asking whether there are interfaces.
    let mut flags = vec!["vnet_hdr".to_owned()];
    if has_queues(vm) {
        flags.push("multi_queue".to_owned());
    }
    [
        lines("tap-flags", flags),
        lines(
            "tap-interfaces",
            vm.interfaces.iter().filter_map(tap).collect(),
        ),
        lines(
            "macvtap-interfaces",
            vm.interfaces.iter().filter_map(macvtap).collect(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether tap interfaces of a VM are opened with several queues, which they must be made for.
pub fn has_queues(vm: &Vm) -> bool {
    backends::of(vm.hypervisor).is_some_and(|backend| backend.queues(vm) > 1)
}

/// As ip-link(8) names it.
fn mode_name(mode: MacvtapMode) -> &'static str {
    match mode {
        MacvtapMode::Private => "private",
        MacvtapMode::Vepa => "vepa",
        MacvtapMode::Bridge => "bridge",
        MacvtapMode::Passthru => "passthru",
        MacvtapMode::Source => "source",
    }
}

fn devices(vm: &Vm) -> Vec<Entry> {
    let pci = |device: &Device| match device {
        Device::Pci { address, .. } => Some(address.clone()),
        Device::Usb { .. } => None,
    };
    let addresses = vm.devices.iter().filter_map(pci).collect();
    let cid = vm.vsock.map(|cid| share("vsock-cid", line(cid)));
    lines("pci-devices", addresses)
        .into_iter()
        .chain(cid)
        .collect()
}

fn virtiofs(vm: &Vm, guest: &GuestFiles) -> Vec<Entry> {
    virtiofs_shares(vm)
        .into_iter()
        .flat_map(|(tag, source, socket)| {
            // Of the root share, whose source is what the build made.
            let source = source.or(guest.root_tree.as_deref());
            let file = |name: &str, path: &Path| {
                share(
                    Path::new("virtiofs").join(&tag).join(name),
                    line(path.display()),
                )
            };
            [
                source.map(|source| file("source", source)),
                Some(file("socket", &socket)),
            ]
        })
        .flatten()
        .collect()
}

/// Whether virtiofs shares of a VM are served by daemons of ours: vfkit serves them itself.
pub fn has_daemons(vm: &Vm) -> bool {
    vm.hypervisor != Hypervisor::Vfkit
}

/// Tag, source and socket of all virtiofs shares that want a daemon, the implicit one of the root
/// first.
fn virtiofs_shares(vm: &Vm) -> Vec<(String, Option<&Path>, PathBuf)> {
    if !has_daemons(vm) {
        return Vec::new();
    }
    let root = (root_share::proto(vm) == Some(RootShare::Virtiofs))
        .then(|| (root_share::TAG.to_owned(), None, root_share::socket(vm)));
    let declared = vm.shares.iter().filter_map(|share| match &share.proto {
        ShareProto::Virtiofs { socket, .. } => Some((
            share.tag.to_string(),
            Some(share.source.as_path()),
            socket.clone(),
        )),
        ShareProto::NineP { .. } => None,
    });
    root.into_iter().chain(declared).collect()
}
