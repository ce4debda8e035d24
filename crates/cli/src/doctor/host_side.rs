//! The host: virtualization, devices, programs, user and units.

use std::path::Path;

use backend::features::{self, HYPERVISORS};
use host::fleet::Fleet;
use host::probe::{Host, Kvm};
use host::service::{Systemd, units};
use spec::vm::Arch;

use super::{Finding, install};

pub fn kvm(host: &Host) -> Finding {
    const WHAT: &str = "kvm";
    match host::probe::kvm(host) {
        Kvm::Works => Finding::good(WHAT, "KVM runs guests"),
        Kvm::Denied => Finding::wrong(
            WHAT,
            "/dev/kvm is not for this user; after the command, log in anew",
        )
        .mended_by(["usermod", "--append", "--groups", "kvm", &user_name()]),
        why @ Kvm::Absent => Finding::could(WHAT, format!("Guests are emulated, slower: {why}"))
            .mended_by(["modprobe", kvm_module()]),
        why => Finding::could(WHAT, format!("Guests are emulated, slower: {why}")),
    }
}

fn user_name() -> String {
    let user = nix_user();
    user.unwrap_or_else(|| "root".to_owned())
}

fn nix_user() -> Option<String> {
    std::env::var("USER")
        .ok()
        .filter(|name| host::user::user_id(name).is_some())
}

fn kvm_module() -> &'static str {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if cpu.contains("AuthenticAMD") {
        "kvm_amd"
    } else {
        "kvm_intel"
    }
}

/// Device, its module, and what it is for.
const DEVICES: [(&str, &str, &str); 3] = [
    ("net/tun", "tun", "`tap` interfaces"),
    (
        "vhost-net",
        "vhost_net",
        "fast `tap` interfaces (`tap.vhost`)",
    ),
    (
        "vhost-vsock",
        "vhost_vsock",
        "`vsock.cid` with QEMU, crosvm, kvmtool and StratoVirt",
    ),
];

pub fn devices(host: &Host) -> Vec<Finding> {
    let look = |(device, module, purpose): (&str, &str, &str)| {
        let path = host.dev.join(device);
        let shown = path.display();
        match path.exists() {
            true => Finding::good(device, format!("{shown} is there, for {purpose}")),
            false => Finding::could(device, format!("{shown} is not there: no {purpose}"))
                .mended_by(["modprobe", module]),
        }
    };
    DEVICES.into_iter().map(look).collect()
}

pub fn hypervisors(host: &Host) -> Finding {
    const WHAT: &str = "hypervisors";
    let arch = if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    let is_here = |hypervisor: &spec::vm::Hypervisor| {
        let name = host::probe::program_name(*hypervisor, arch);
        *hypervisor == spec::vm::Hypervisor::Alioth
            || host::program::find_in(name, &host.programs).is_some()
    };
    let found: Vec<&str> = HYPERVISORS
        .into_iter()
        .filter(is_here)
        .map(features::name)
        .collect();
    let message = format!("This host has {}", crate::command::listed(&found));
    if found.contains(&"qemu") {
        return Finding::good(WHAT, message);
    }
    let qemu = host::probe::program_name(spec::vm::Hypervisor::Qemu, arch);
    let package = host::program::debian_package(qemu).unwrap_or("qemu-system");
    Finding::wrong(
        WHAT,
        format!("{message}; QEMU, the default, is not among them"),
    )
    .mended_by(install(package))
}

/// Program, Debian's package, and what it is for.
const PROGRAMS: [(&str, &str, &str); 11] = [
    ("mkfs.ext4", "e2fsprogs", "making volumes"),
    ("mkfs.erofs", "erofs-utils", "building store disks"),
    ("mmdebstrap", "mmdebstrap", "building Debian guests"),
    ("depmod", "kmod", "building guests"),
    ("skopeo", "skopeo", "guests of container images"),
    ("umoci", "umoci", "guests of container images"),
    (
        "ssh",
        "openssh-client",
        "`microvm ssh` and `microvm deploy`",
    ),
    ("ssh-keygen", "openssh-client", "keys for `microvm ssh`"),
    ("newuidmap", "uidmap", "building as an ordinary user"),
    ("dnsmasq", "dnsmasq-base", "addresses and names for guests"),
    ("nft", "nftables", "guests that reach the outside"),
];

pub fn programs() -> Vec<Finding> {
    let look = |(program, package, purpose): (&str, &str, &str)| match host::program::find(program)
    {
        Ok(path) => Finding::good(program, format!("{}, for {purpose}", path.display())),
        Err(_) => Finding::could(
            program,
            format!("`{program}` is not installed: no {purpose}"),
        )
        .mended_by(install(package)),
    };
    PROGRAMS.into_iter().map(look).collect()
}

/// Only root gives VMs to another user.
pub fn user() -> Option<Finding> {
    if !host::user::is_root() {
        return None;
    }
    Some(match host::service::Account::here() {
        Some(_) => Finding::good("user", "Hypervisors run as `microvm`, of the group `kvm`"),
        None => Finding::wrong(
            "user",
            "There is no user `microvm`: hypervisors run as root",
        )
        .mended_by(["microvm", "host", "install"]),
    })
}

pub fn units(fleet: &Fleet) -> Option<Finding> {
    const WHAT: &str = "units";
    Systemd::here()?;
    let state = fleet.dir().display().to_string();
    let command = ["microvm", "host", "install", "--state-dir", &state];
    let root = Path::new("/");
    match units::installed_for(root) {
        None => Some(
            Finding::could(
                WHAT,
                "VMs are kept by `microvm` itself, for it has no units here",
            )
            .mended_by(command),
        ),
        Some(other) if other != fleet.dir() => Some(Finding::could(
            WHAT,
            format!("The units of this host are for `{}`", other.display()),
        )),
        Some(_) => {
            let program = std::env::current_exe().ok()?;
            let wanted = units::units(fleet.dir(), &program, units::start_of(root)).ok()?;
            let stale = units::stale(root, &wanted);
            Some(match stale.is_empty() {
                true => Finding::good(WHAT, "The units are those of this version"),
                false => Finding::wrong(
                    WHAT,
                    format!("{} of the units are not those of this version", stale.len()),
                )
                .mended_by(command),
            })
        }
    }
}
