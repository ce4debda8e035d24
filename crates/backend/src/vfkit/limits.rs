//! What vfkit cannot do beyond the table.

use spec::Vm;
use spec::vm::{
    Access, Arch, GraphicsBackend, InodeFileHandles, RootShare, Share, ShareCache, ShareProto,
    StoreKind,
};

use crate::refused::Refusal;

/// VIRTIO_BLK_ID_BYTES.
const LONGEST_SERIAL: usize = 20;

pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    if vm.store.kind == StoreKind::Share(RootShare::Virtiofs) {
        let message = "vfkit cannot keep the guest from writing to a share, which the store must \
                       not be written to; leave `storeOnDisk` out";
        limits.push(limit("storeOnDisk", false, message));
    }
    limits.extend(vm.shares.iter().enumerate().flat_map(share));
    limits.extend(daemon(vm));
    limits.extend(others(vm));
    limits
}

fn limit(option: impl Into<String>, value: impl ToString, message: impl Into<String>) -> Refusal {
    Refusal {
        option: option.into(),
        value: value.to_string(),
        message: message.into(),
        able: Vec::new(),
    }
}

/// What a daemon of ours would do for a share.
fn share((index, share): (usize, &Share)) -> Vec<Refusal> {
    let ShareProto::Virtiofs {
        cache, extra_args, ..
    } = &share.proto
    else {
        return Vec::new();
    };
    let option = |name: &str| format!("shares[{index}].{name}");
    let mut limits = Vec::new();
    if share.access == Access::ReadOnly {
        let message = "vfkit cannot keep the guest from writing to a share; share a copy, writable";
        limits.push(limit(option("readOnly"), true, message));
    }
    if *cache != ShareCache::Auto {
        let value = format!("{cache:?}").to_lowercase();
        let message = "vfkit decides itself what the guest may cache; leave `cache` out";
        limits.push(limit(option("cache"), value, message));
    }
    if !extra_args.is_empty() {
        let message = "vfkit serves shares itself, without a daemon that takes arguments; leave \
                       `extraArgs` out";
        limits.push(limit(option("extraArgs"), extra_args.join(" "), message));
    }
    limits
}

fn daemon(vm: &Vm) -> Vec<Refusal> {
    let daemon = &vm.virtiofsd;
    let program = daemon
        .program
        .as_ref()
        .map(|path| path.display().to_string());
    let threads = daemon.thread_pool_size.map(|size| size.to_string());
    let handles = daemon
        .inode_file_handles
        .filter(|handles| *handles != InodeFileHandles::Prefer);
    let handles = handles.map(|_| "set".to_owned());
    let arguments = (!daemon.extra_args.is_empty()).then(|| daemon.extra_args.join(" "));
    let options = [
        ("virtiofsd.package", program),
        ("virtiofsd.threadPoolSize", threads),
        ("virtiofsd.inodeFileHandles", handles),
        ("virtiofsd.extraArgs", arguments),
    ];
    let set = options
        .into_iter()
        .filter_map(|(option, value)| Some((option, value?)));
    set.map(|(option, value)| {
        limit(
            option,
            value,
            "vfkit serves shares itself; leave the option out",
        )
    })
    .collect()
}

fn others(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    for (index, volume) in vm.volumes.iter().enumerate() {
        if let Some(serial) = volume.serial.as_ref().filter(|s| s.len() > LONGEST_SERIAL) {
            let message = format!("A serial number has at most {LONGEST_SERIAL} bytes");
            limits.push(limit(format!("volumes[{index}].serial"), serial, message));
        }
    }
    if let Some(param) = vm.boot.kernel_params.iter().find(|p| p.contains('"')) {
        let message = "vfkit takes a `\"` for the end of the command line; leave it out";
        limits.push(limit("kernelParams", param, message));
    }
    if vm.options.vfkit.rosetta.is_some() && vm.arch != Arch::Aarch64 {
        let message = "Rosetta runs programs for x86_64 in guests for aarch64 alone";
        limits.push(limit("vfkit.rosetta.enable", true, message));
    }
    let backend = vm.graphics.as_ref().map(|graphics| graphics.backend);
    if backend == Some(GraphicsBackend::Gtk) {
        let message = "vfkit's window is one of macOS: `cocoa`";
        limits.push(limit("graphics.backend", "gtk", message));
    }
    limits
}
