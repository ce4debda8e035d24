//! The argument vector of `lkvm run`.

use std::path::Path;

use spec::Vm;
use spec::vm::{Access, Arch, Device, Interface, InterfaceKind, ShareProto, Volume};

use super::Kvmtool;
use crate::args::{Args, List};
use crate::backends::Backend;
use crate::before::{CREDENTIALS_FD, macvtap_fds, path_of_fd};
use crate::plan::Input;

/// Where systemd, and most others, mount the huge pages.
const HUGETLBFS: &str = "/dev/hugepages";

pub(super) fn arguments(input: &Input) -> Vec<String> {
    let vm = input.vm;
    let mut args = Args::default();
    args.flag("run");
    args.pair("--name", name(vm));
    args.pair("-c", vm.vcpu.to_string());
    args.pair("-m", format!("{}M", vm.memory.mem_mib));
    args.pair("-k", input.guest.kernel.to_string_lossy());
    args.pair("-i", input.guest.initrd.to_string_lossy());
    // Else it puts a command line of its own before ours, with a root and a second `reboot=`.
    args.flag("--nodefaults");
    args.pair("-p", Kvmtool.command_line(input));
    args.pair("--console", "serial");
    args.pair("--tty", "1");
    args.flag("--rng");
    disks(input, &mut args);
    shares(vm, &mut args);
    network(vm, &mut args);
    devices(vm, &mut args);
    args.into_vec()
}

/// Of the guest, from which lkvm makes the path `HOME/.lkvm/NAME.sock` of its socket: such that
/// this is the path that the definition wants, relative to the state directory as HOME.
fn name(vm: &Vm) -> String {
    let default = format!("{}.sock", vm.name);
    let socket = vm.socket.as_deref().map(Path::to_string_lossy);
    let socket = socket.as_deref().unwrap_or(&default);
    format!("../{}", socket.strip_suffix(".sock").unwrap_or(socket))
}

/// The head of the kernel command line. x86 guests find no ACPI tables, and need what lkvm's own
/// command line has: the first two to reach their devices, and no search for a mouse.
///
/// A triple fault ends only the vCPU that has it, and lkvm waits for the first one: after a panic
/// on another it would stay. The keyboard controller's reset ends them all.
pub(super) fn head(arch: Arch) -> Vec<String> {
    let params: &[&str] = match arch {
        Arch::X86_64 => &[
            "console=ttyS0",
            "noapic",
            "pci=conf1",
            "i8042.direct=1",
            "i8042.dumbkbd=1",
            "i8042.nopnp=1",
            "i8042.noaux=1",
            "reboot=k",
        ],
        Arch::Aarch64 => &["console=ttyS0"],
    };
    params.iter().map(|param| (*param).to_owned()).collect()
}

fn disks(input: &Input, args: &mut Args) {
    if let Some(image) = &input.guest.store_disk {
        args.pair("-d", disk(image, Access::ReadOnly, false));
    }
    for Volume {
        image,
        access,
        direct,
        ..
    } in &input.vm.volumes
    {
        args.pair("-d", disk(image, *access, *direct));
    }
    if !input.vm.credential_files.is_empty() {
        let image = path_of_fd(CREDENTIALS_FD);
        args.pair("-d", disk(&image, Access::ReadOnly, false));
    }
}

fn disk(image: &Path, access: Access, direct: bool) -> String {
    // It takes a name that begins with `scsi:` for an address.
    let mut text = if image.is_absolute() {
        image.to_string_lossy().into_owned()
    } else {
        format!("./{}", image.display())
    };
    if access == Access::ReadOnly {
        text.push_str(",ro");
    }
    if direct {
        text.push_str(",direct");
    }
    text
}

fn shares(vm: &Vm, args: &mut Args) {
    for share in &vm.shares {
        if let ShareProto::NineP { .. } = share.proto {
            args.pair("--9p", format!("{},{}", share.source.display(), share.tag));
        }
    }
}

fn network(vm: &Vm, args: &mut Args) {
    // Without a word it makes one of its own.
    if vm.interfaces.is_empty() {
        args.pair("--network", "mode=none");
    }
    let interfaces = vm.interfaces.iter().enumerate();
    for nic in interfaces.filter_map(|(index, interface)| nic(vm, index, interface)) {
        args.pair("--network", nic);
    }
}

/// `None` for a bridge, which was refused.
fn nic(vm: &Vm, index: usize, interface: &Interface) -> Option<List> {
    let nic = match &interface.kind {
        InterfaceKind::User => List::new("mode=user"),
        InterfaceKind::Tap { vhost } => List::new("mode=tap")
            .set("tapif", &interface.id)
            .set_if(*vhost, "vhost", 1),
        // With a path in `tapif` it knows that the descriptor is a macvtap's, which has no name
        // to ask for and no address to set; it does not open the path.
        InterfaceKind::Macvtap { .. } => {
            let fd = *macvtap_fds(vm, 1, index).first()?;
            List::new("mode=tap")
                .set("fd", fd)
                .path("tapif", &path_of_fd(fd))
        }
        InterfaceKind::Bridge { .. } => return None,
    };
    Some(nic.set("guest_mac", &interface.mac))
}

fn devices(vm: &Vm, args: &mut Args) {
    if vm.memory.balloon.is_some() {
        args.flag("--balloon");
    }
    if vm.memory.hugepages {
        args.pair("--hugetlbfs", HUGETLBFS);
    }
    if let Some(cid) = vm.vsock {
        args.pair("--vsock", cid.to_string());
    }
    for device in &vm.devices {
        if let Device::Pci { address, .. } = device {
            args.pair("--vfio-pci", address);
        }
    }
}
