//! Whether KVM can run a guest, which the presence of `/dev/kvm` does not tell.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cache::{self, Stamp};
use super::{Host, cpu};

/// What the probe of KVM found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kvm {
    Works,
    /// No `/dev/kvm`.
    Absent,
    /// `/dev/kvm` is not for this user.
    Denied,
    /// The device is there, the module or the hardware behind it is not.
    NoHardware,
    /// A KVM without hardware virtualization below it (PVM): it answers, but an ordinary kernel
    /// never reaches userspace on it.
    Software,
    /// Not version 12, the only one there has been since Linux 2.6.22.
    Version(i32),
    /// Another program holds the processor's virtualization.
    Held,
    Failed(std::io::ErrorKind),
}

impl std::fmt::Display for Kvm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Works => f.write_str("it works"),
            Self::Absent => f.write_str("/dev/kvm is not there (enable virtualization in the firmware, load kvm_intel or kvm_amd)"),
            Self::Denied => f.write_str("/dev/kvm: permission denied (add yourself to group kvm)"),
            Self::NoHardware => f.write_str("/dev/kvm has no hardware behind it (enable virtualization in the firmware)"),
            Self::Software => f.write_str("the processor shows neither svm nor vmx, so /dev/kvm is a software one that ordinary kernels do not boot on"),
            Self::Version(version) => write!(f, "/dev/kvm speaks version {version}, not 12"),
            Self::Held => f.write_str("another hypervisor holds the processor's virtualization"),
            Self::Failed(kind) => write!(f, "/dev/kvm: {kind}"),
        }
    }
}

const API_VERSION: i32 = 12;

/// Opens the device, asks its version and creates a VM; what worked is remembered until the
/// machine restarts, for taking a VM down again costs milliseconds.
pub fn probe(host: &Host) -> Kvm {
    let device = host.dev.join("kvm");
    let options = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&device);
    let kvm = match options {
        Ok(file) => file,
        Err(error) => return opening(&error),
    };
    if !cpu::has_virtualization(&host.proc) {
        return Kvm::Software;
    }
    match ioctl::version(kvm.as_raw_fd()) {
        Ok(API_VERSION) => {}
        Ok(version) => return Kvm::Version(version),
        Err(error) => return Kvm::Failed(std::io::Error::from(error).kind()),
    }
    let proof = Proof::now(&host.proc, &device);
    let file = host.cache.join("kvm.json");
    if proof.is_some() && cache::load(&file) == proof {
        return Kvm::Works;
    }
    let result = creating(kvm.as_raw_fd());
    if let (Kvm::Works, Some(proof)) = (&result, proof) {
        cache::store(&file, &proof);
    }
    result
}

fn opening(error: &std::io::Error) -> Kvm {
    match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::ENOENT) => Kvm::Absent,
        Some(nix::errno::Errno::EACCES | nix::errno::Errno::EPERM) => Kvm::Denied,
        Some(nix::errno::Errno::ENODEV | nix::errno::Errno::ENXIO) => Kvm::NoHardware,
        _ => Kvm::Failed(error.kind()),
    }
}

fn creating(kvm: i32) -> Kvm {
    match ioctl::create_vm(kvm) {
        Ok(vm) => {
            drop(vm);
            Kvm::Works
        }
        Err(nix::errno::Errno::EBUSY) => Kvm::Held,
        Err(error) => Kvm::Failed(std::io::Error::from(error).kind()),
    }
}

/// A VM was created since this start of the machine, through this device.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Proof {
    boot: String,
    device: Stamp,
}

impl Proof {
    fn now(proc: &Path, device: &Path) -> Option<Self> {
        let boot = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id")).ok()?;
        let device = Stamp::of(device)?;
        Some(Self { boot, device })
    }
}

/// The two requests of `linux/kvm.h` that the probe needs; both take 0.
#[expect(unsafe_code, reason = "ioctl has no safe wrapper")]
mod ioctl {
    use super::{FromRawFd, OwnedFd};

    nix::ioctl_write_int_bad!(get_api_version, nix::request_code_none!(0xAE, 0x00));
    nix::ioctl_write_int_bad!(create, nix::request_code_none!(0xAE, 0x01));

    pub fn version(kvm: i32) -> nix::Result<i32> {
        // SAFETY: the request takes a number and touches no memory of ours.
        unsafe { get_api_version(kvm, 0) }
    }

    pub fn create_vm(kvm: i32) -> nix::Result<OwnedFd> {
        // SAFETY: the request takes a number; what it gives is a new descriptor that is ours.
        unsafe { create(kvm, 0).map(|fd| OwnedFd::from_raw_fd(fd)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(root: &Path, flags: &str) -> Host {
        let (proc, dev) = (root.join("proc"), root.join("dev"));
        std::fs::create_dir_all(&proc).unwrap();
        std::fs::create_dir_all(&dev).unwrap();
        std::fs::write(proc.join("cpuinfo"), format!("flags : {flags}\n")).unwrap();
        Host {
            proc,
            dev,
            sys: root.join("sys"),
            cache: root.join("cache"),
            programs: Vec::new(),
            own_program: None,
        }
    }

    #[test]
    fn absence_and_other_files_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let host = host(root.path(), "svm");
        assert_eq!(probe(&host), Kvm::Absent);
        std::fs::write(host.dev.join("kvm"), "").unwrap();
        assert!(matches!(probe(&host), Kvm::Failed(_)));
    }

    #[test]
    fn a_device_without_a_driver_has_no_hardware() {
        assert_eq!(
            opening(&std::io::Error::from_raw_os_error(libc::ENODEV)),
            Kvm::NoHardware
        );
        assert_eq!(
            opening(&std::io::Error::from_raw_os_error(libc::EACCES)),
            Kvm::Denied
        );
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn without_hardware_flags_kvm_is_a_software_one() {
        let root = tempfile::tempdir().unwrap();
        let host = host(root.path(), "fpu sse2");
        std::fs::write(host.dev.join("kvm"), "").unwrap();
        assert_eq!(probe(&host), Kvm::Software);
    }

    #[test]
    fn the_device_of_this_machine_answers() {
        let root = tempfile::tempdir().unwrap();
        let mut host = host(root.path(), "svm");
        host.dev = "/dev".into();
        host.proc = "/proc".into();
        let found = probe(&host);
        println!("{found:?}");
        if found == Kvm::Works {
            assert!(root.path().join("cache/kvm.json").exists());
            assert_eq!(probe(&host), Kvm::Works);
        }
    }
}
