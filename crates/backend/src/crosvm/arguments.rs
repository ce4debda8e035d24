//! The argument vector of `crosvm run`.

use std::path::Path;

use spec::Vm;
use spec::vm::{Device, Interface, InterfaceKind, RootShare, ShareProto};

use super::text::{path, quoted};
use super::{Crosvm, extra, pivot_root};
use crate::args::{Args, List};
use crate::backends::Backend;
use crate::before::{CREDENTIALS_FD, macvtap_fds, path_of_fd};
use crate::plan::{HostFacts, Input};
use crate::root_share;

/// Ours, then the user's own, which win where an option may come once.
pub(super) fn arguments(input: &Input) -> Vec<String> {
    let user = &input.vm.options.crosvm.extra_args;
    // It has a journal or a terminal on its standard error, and needs no syslog.
    let head = ["--no-syslog", "--log-level", "warn", "run"];
    let mut args: Vec<String> = head.map(str::to_owned).into();
    args.extend(extra::without(own(input), user));
    args.extend_from_slice(user);
    args.push(input.guest.kernel.to_string_lossy().into_owned());
    args
}

/// The options of `crosvm run` that a VM needs, each with its value if it has one.
pub(super) fn own(input: &Input) -> Vec<String> {
    let (vm, facts) = (input.vm, input.facts);
    let mut args = Args::default();
    args.pair("--cpus", vm.vcpu.to_string());
    memory(vm, facts, &mut args);
    args.pair("--initrd", input.guest.initrd.to_string_lossy());
    args.pair("--params", Crosvm.command_line(input));
    let serial = "type=stdout,hardware=serial,num=1,console=true,stdin=true";
    args.pair("--serial", serial);
    if let Some(socket) = &vm.socket {
        args.pair("--socket", socket.to_string_lossy());
    }
    args.pair("--pivot-root", pivot_root(input).to_string_lossy());
    disks(input, &mut args);
    shares(input, &mut args);
    for (index, interface) in vm.interfaces.iter().enumerate() {
        if let Some(net) = net(vm, index, interface) {
            args.pair("--net", net);
        }
    }
    devices(vm, facts, &mut args);
    args.into_vec()
}

/// Flags that take a device away are there only in builds that have it.
fn without(facts: &HostFacts, flag: &str, args: &mut Args) {
    if facts.options.contains(flag) {
        args.flag(flag);
    }
}

fn memory(vm: &Vm, facts: &HostFacts, args: &mut Args) {
    let memory = &vm.memory;
    args.pair("--mem", memory.mem_mib.to_string());
    if memory.hugepages {
        args.flag("--hugepages");
    }
    match memory.balloon {
        None => without(facts, "--no-balloon", args),
        Some(balloon) if balloon.initial_mib > 0 => {
            let left = memory.mem_mib.saturating_sub(balloon.initial_mib);
            args.pair("--init-mem", left.to_string());
        }
        Some(_) => {}
    }
}

/// With `--block` alone, and never `root=true` (as `--root` has it): crosvm would put a `root=`
/// on the kernel command line.
fn disks(input: &Input, args: &mut Args) {
    let vm = input.vm;
    if let Some(image) = &input.guest.store_disk {
        args.pair("--block", read_only(image, "store"));
    }
    for (index, volume) in vm.volumes.iter().enumerate() {
        let place = format!("vol{index}");
        let serial = volume.serial.as_ref().unwrap_or(&place);
        let writable = volume.access == spec::vm::Access::ReadWrite;
        let disk = List::new(format!("path={}", path(&volume.image)))
            .set_if(!writable, "ro", true)
            .set_if(volume.direct, "direct", true)
            .set("id", quoted(serial));
        args.pair("--block", disk);
    }
    if !vm.credential_files.is_empty() {
        let image = path_of_fd(CREDENTIALS_FD);
        args.pair("--block", read_only(&image, "credentials"));
    }
}

fn read_only(image: &Path, serial: &str) -> List {
    List::new(format!("path={}", path(image)))
        .set("ro", true)
        .set("id", serial)
}

fn shares(input: &Input, args: &mut Args) {
    let vm = input.vm;
    let virtiofs = |socket: &Path| List::new("type=fs").set("socket", path(socket));
    if root_share::proto(vm) == Some(RootShare::Virtiofs) {
        args.pair("--vhost-user", virtiofs(&root_share::socket(vm)));
    }
    for share in &vm.shares {
        match &share.proto {
            ShareProto::Virtiofs { socket, .. } => args.pair("--vhost-user", virtiofs(socket)),
            ShareProto::NineP { .. } => {
                // It becomes the root of the device's process, for which a path is absolute.
                let source = input.facts.state.join(&share.source);
                let dir = format!("{}:{}:type=p9", source.display(), share.tag);
                args.pair("--shared-dir", dir);
            }
        }
    }
}

/// `None` for what was refused.
fn net(vm: &Vm, index: usize, interface: &Interface) -> Option<List> {
    let queues = Crosvm.queues(vm);
    Some(match &interface.kind {
        InterfaceKind::Tap { vhost } => {
            let name = quoted(&interface.id);
            let mut list =
                String::from(List::new(format!("tap-name={name}")).set("mac", &interface.mac));
            if *vhost {
                list.push_str(",vhost-net");
            }
            List::new(list).set_if(queues > 1, "vq-pairs", queues)
        }
        InterfaceKind::Macvtap { .. } => {
            let fd = *macvtap_fds(vm, 1, index).first()?;
            List::new(format!("tap-fd={fd}")).set("mac", &interface.mac)
        }
        InterfaceKind::User | InterfaceKind::Bridge { .. } => return None,
    })
}

fn devices(vm: &Vm, facts: &HostFacts, args: &mut Args) {
    without(facts, "--no-usb", args);
    if let Some(cid) = vm.vsock {
        args.pair("--vsock", List::new("").set("cid", cid));
    }
    for device in &vm.devices {
        if let Device::Pci { address, .. } = device {
            args.pair("--vfio", format!("/sys/bus/pci/devices/{address}"));
        }
    }
}
