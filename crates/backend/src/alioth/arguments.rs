//! The arguments of `alioth boot`, which the one built in reads as the program of that name does.

use std::collections::BTreeMap;

use spec::vm::{Access, Device, InterfaceKind, RootShare, ShareProto};

use super::objects::Objects;
use super::{Alioth, shares_memory, vsock_socket};
use crate::args::{Args, List};
use crate::backends::Backend;
use crate::before::{CREDENTIALS_FD, path_of_fd};
use crate::plan::Input;
use crate::root_share;

/// CID of a guest whose definition has none: it means nothing outside of the VM.
const OWN_CID: u32 = 3;

/// What a tap interface has unless somebody changes it; alioth wants to be told.
const MTU: u16 = 1500;

pub(super) fn arguments(input: &Input) -> Vec<String> {
    let mut args = Args::default();
    let mut objects = Objects::default();
    if input.facts.built_in {
        args.flag("alioth");
    }
    args.flag("boot");
    let guest = input.guest;
    args.pair("--kernel", guest.kernel.to_string_lossy());
    args.pair("--initramfs", guest.initrd.to_string_lossy());
    args.pair("--cmdline", Alioth.command_line(input));
    args.pair("--cpu", List::new("").set("count", input.vm.vcpu));
    args.pair("--memory", memory(input));
    args.flag("--entropy");
    disks(input, &mut args, &mut objects);
    shares(input, &mut args, &mut objects);
    network(input, &mut args);
    vsock(input, &mut args, &mut objects);
    passthrough(input, &mut args, &mut objects);
    for object in objects.into_vec() {
        args.pair("--object", object);
    }
    args.into_vec()
}

/// A file in memory only where a daemon has to map it: free pages of it are not given back.
fn memory(input: &Input) -> List {
    let backend = if shares_memory(input.vm) {
        "memfd"
    } else {
        "anon"
    };
    List::new("")
        .set("size", format!("{}M", input.vm.memory.mem_mib))
        .set("backend", backend)
}

fn disks(input: &Input, args: &mut Args, objects: &mut Objects) {
    let mut disk = |path: String, access: Access| {
        let disk = List::new("file")
            .set("path", path)
            .set_if(access == Access::ReadOnly, "readonly", "true")
            // With its other loop a flush of the guest's reaches no disk (0.12).
            .set_if(input.facts.io_uring, "api", "io_uring");
        args.pair("--blk", disk);
    };
    if let Some(store) = &input.guest.store_disk {
        disk(objects.path(store), Access::ReadOnly);
    }
    for volume in &input.vm.volumes {
        disk(objects.path(&volume.image), volume.access);
    }
    if !input.vm.credential_files.is_empty() {
        disk(objects.path(&path_of_fd(CREDENTIALS_FD)), Access::ReadOnly);
    }
}

fn shares(input: &Input, args: &mut Args, objects: &mut Objects) {
    let vm = input.vm;
    let mut share = |socket: String, tag: &str| {
        args.pair(
            "--fs",
            List::new("vu").set("socket", socket).set("tag", tag),
        );
    };
    if root_share::proto(vm) == Some(RootShare::Virtiofs) {
        share(objects.path(&root_share::socket(vm)), root_share::TAG);
    }
    for one in &vm.shares {
        if let ShareProto::Virtiofs { socket, .. } = &one.proto {
            share(objects.path(socket), &one.tag);
        }
    }
}

fn network(input: &Input, args: &mut Args) {
    let interfaces = input.vm.interfaces.iter();
    for interface in interfaces.filter(|i| matches!(i.kind, InterfaceKind::Tap { .. })) {
        let net = List::new("tap")
            .set("if", &interface.id)
            .set("mac", &interface.mac)
            .set("mtu", MTU);
        args.pair("--net", net);
    }
}

/// Always there, for the agent; over a socket, so that the host needs no module for it.
fn vsock(input: &Input, args: &mut Args, objects: &mut Objects) {
    let cid = input.vm.vsock.map_or(OWN_CID, u32::from);
    let vsock = List::new("uds")
        .set("cid", cid)
        .set("path", objects.path(&vsock_socket(input.vm)));
    args.pair("--vsock", vsock);
}

/// A group can be opened once, with all of its devices.
fn passthrough(input: &Input, args: &mut Args, objects: &mut Objects) {
    let mut groups: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for device in &input.vm.devices {
        if let Device::Pci { address, .. } = device
            && let Some(group) = input.facts.iommu_groups.get(address)
        {
            groups.entry(*group).or_default().push(address);
        }
    }
    for (group, devices) in groups {
        let group = List::new("")
            .set("path", format!("/dev/vfio/{group}"))
            .set("devices", objects.value(devices.join(",")));
        args.pair("--vfio-group", group);
    }
}
