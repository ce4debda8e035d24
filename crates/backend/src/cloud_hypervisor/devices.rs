//! Platform, shares, vsock and passed-through devices.

use spec::Vm;
use spec::vm::{Arch, Device, RootShare, ShareProto};

use super::vsock_socket;
use crate::args::{Args, List};
use crate::plan::{Input, Version};
use crate::root_share;

pub(super) fn push_platform(input: &Input, args: &mut Args) {
    let vm = input.vm;
    // SMBIOS, which arm64 guests are not given.
    if vm.arch == Arch::X86_64 {
        let strings = &vm.options.cloud_hypervisor.platform_oem_strings;
        // The one is deprecated, the other new with 54.
        let uuid = if input.facts.version >= Version(54, 0, 0) {
            "system_uuid"
        } else {
            "uuid"
        };
        let platform = List::default().set(uuid, vm.machine_id.as_uuid()).set_if(
            !strings.is_empty(),
            "oem_strings",
            format!("[{}]", strings.join(",")),
        );
        args.pair("--platform", platform);
    }
    for flag in ["--watchdog", "--pvpanic"] {
        if input.facts.options.contains(flag) {
            args.flag(flag);
        }
    }
}

pub(super) fn push_shares(vm: &Vm, args: &mut Args) {
    let share = |tag: &str, socket: &std::path::Path| {
        List::default().set("tag", tag).path("socket", socket)
    };
    let root = root_share::proto(vm) == Some(RootShare::Virtiofs);
    let root = root.then(|| share(root_share::TAG, &root_share::socket(vm)));
    let declared = vm.shares.iter().filter_map(|it| match &it.proto {
        ShareProto::Virtiofs { socket, .. } => Some(share(&it.tag, socket)),
        ShareProto::NineP { .. } => None,
    });
    args.list("--fs", root.into_iter().chain(declared).collect());
}

pub(super) fn push(vm: &Vm, args: &mut Args) {
    if let Some(cid) = vm.vsock {
        let vsock = List::default().set("cid", cid);
        args.pair("--vsock", vsock.path("socket", &vsock_socket(vm)));
    }
    let devices = vm.devices.iter().filter_map(sysfs);
    let devices = devices.map(|path| List::default().set("path", path));
    args.list("--device", devices.collect());
}

/// Without a slash at its end: it is read as a link.
pub(super) fn sysfs(device: &Device) -> Option<String> {
    match device {
        Device::Pci { address, .. } => Some(format!("/sys/bus/pci/devices/{address}")),
        // Refused before.
        Device::Usb { .. } => None,
    }
}
