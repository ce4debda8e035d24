//! A VM to build, and what a build needs around it.

#![allow(dead_code, reason = "each test uses a part")]

pub mod machine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use image::{BuildContext, Built, Error, InitrdStep, Lock, Phase, Progress, Store, build};
use spec::Vm;
use spec::guest::{Debian, Guest, GuestSource, Network};
use spec::vm::Arch;

/// Writes what it was given instead of an initrd.
pub struct FakeInitrd;

impl InitrdStep for FakeInitrd {
    fn serves(&self, _: Arch) -> bool {
        true
    }

    fn identity(&self, vm: &Vm) -> Vec<u8> {
        vm.name.as_bytes().to_vec()
    }

    fn write(
        &self,
        _: &Vm,
        modules: Option<&Path>,
        out: &Path,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(std::fs::write(out, format!("{modules:?}"))?)
    }
}

pub struct Lines;

impl Progress for Lines {
    fn start(&self, phase: Phase, subject: &str) {
        eprintln!("{}: {subject}", phase.label());
    }

    fn advance(&self, phase: Phase, done: u64, total: u64) {
        if done == total {
            eprintln!("{}: {done}/{total}", phase.label());
        }
    }
}

/// A store with its surroundings, in one directory.
pub struct Bench {
    pub dir: PathBuf,
    pub cache: PathBuf,
    pub lock: Lock,
    pub interrupted: AtomicBool,
    pub update: bool,
}

impl Bench {
    /// Packages are kept in `cache` for other tests.
    pub fn new(dir: &Path, cache: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            cache: cache.to_owned(),
            lock: Lock::default(),
            interrupted: AtomicBool::new(false),
            update: false,
        }
    }

    pub fn store(&self) -> Store {
        Store::open(&self.dir.join("store")).unwrap()
    }

    pub fn build(&mut self, vm: &Vm) -> Result<Built, Error> {
        self.build_with(vm, &FakeInitrd)
    }

    pub fn build_with(&mut self, vm: &Vm, initrd: &dyn InitrdStep) -> Result<Built, Error> {
        let store = self.store();
        let context = BuildContext {
            cache_dir: self.cache.clone(),
            hook_exe: PathBuf::from(env!("CARGO_BIN_EXE_microvm-image-hook")),
            update: self.update,
            progress: &Lines,
            interrupted: &self.interrupted,
            initrd,
        };
        build(vm, &store, &mut self.lock, &context)
    }
}

pub fn guest(source: GuestSource) -> Guest {
    Guest {
        source,
        root_password: None,
        ssh_keys: Vec::new(),
        users: BTreeMap::new(),
        autologin: None,
        files: BTreeMap::new(),
        enable: Vec::new(),
        network: Network::Dhcp,
        run: Vec::new(),
    }
}

pub fn debian(suite: &str) -> GuestSource {
    GuestSource::Debian(Debian {
        suite: suite.into(),
        packages: Vec::new(),
        mirror: None,
    })
}

/// The least that a VM is.
pub fn vm(guest: Guest) -> Vm {
    let json = serde_json::json!({
        "name": "test",
        "hypervisor": "qemu",
        "arch": "x86_64",
        "vcpu": 1,
        "cpu": null,
        "memory": {"mem_mib": 512, "hugepages": false, "hotplug": null, "balloon": null},
        "boot": {"kernel": "auto", "initrd": null, "kernel_params": []},
        "store": {
            "kind": {"erofs": {"flags": []}},
            "writable_overlay": null,
            "register_closure": false
        },
        "volumes": [], "shares": [], "interfaces": [], "forward_ports": [], "devices": [],
        "vsock": null, "socket": null, "user": null, "pre_start": "",
        "extra_args_script": null, "pretty_procnames": true,
        "machine_id": "0123456789abcdef0123456789abcdef",
        "register_with_machined": false, "credential_files": {}, "graphics": null,
        "virtiofsd": {
            "program": null, "group": null, "thread_pool_size": null,
            "inode_file_handles": null, "extra_args": []
        },
        "options": {
            "qemu": {
                "machine": "microvm", "machine_opts": null, "extra_args": [],
                "serial_console": true, "pcie_root_ports": [], "package": null
            },
            "cloud_hypervisor": {"platform_oem_strings": [], "extra_args": [], "package": null},
            "crosvm": {"pivot_root": null, "extra_args": [], "package": null},
            "firecracker": {
                "cpu": null, "drive_io_engine": "Async", "extra_args": [], "extra_config": {},
                "package": null
            },
            "kvmtool": {"package": null}, "stratovirt": {"package": null},
            "alioth": {"package": null},
            "vfkit": {"log_level": null, "extra_args": [], "rosetta": null, "package": null}
        },
        "guest": guest,
    });
    serde_json::from_value(json).unwrap()
}

/// Packages and lists that all tests and all their runs share.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// Whether a program is there; says why a test is skipped where it is not.
pub fn have(programs: &[&str]) -> bool {
    for program in programs {
        let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        if !paths
            .split(':')
            .any(|dir| Path::new(dir).join(program).exists())
        {
            eprintln!("skipped: `{program}` is not installed");
            return false;
        }
    }
    true
}

/// Whether this process may mount; says why a test is skipped where it may not.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// Unpacks a store disk.
pub fn extract(disk: &Path, to: &Path) {
    let status = std::process::Command::new("fsck.erofs")
        .arg(format!("--extract={}", to.display()))
        .arg(disk)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Names in a store that are neither entries nor its own.
/// The entries of a store, and when each was written.
pub fn written(store: &Store) -> BTreeMap<PathBuf, SystemTime> {
    let entries = std::fs::read_dir(store.dir()).unwrap();
    let written = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.path(), entry.metadata().unwrap().modified().unwrap())
    };
    entries.map(written).collect()
}

pub fn leftovers(store: &Store) -> Vec<String> {
    let names = std::fs::read_dir(store.dir()).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".tmp")).collect()
}
