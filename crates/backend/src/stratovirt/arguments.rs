//! The argument vector.

use spec::agent;
use spec::vm::{Arch, Device, RootShare, ShareProto};

use super::slots::Slots;
use super::{Stratovirt, agent_socket, disks, net, shares_memory};
use crate::args::{Args, List};
use crate::backends::Backend;
use crate::plan::Input;
use crate::root_share;

pub(super) fn arguments(input: &Input) -> Vec<String> {
    let mut args = Args::default();
    let mut slots = Slots::new();
    machine(input, &mut args);
    boot(input, &mut args);
    disks::push(input, &mut args, &mut slots);
    net::push(input, &mut args, &mut slots);
    shares(input, &mut args, &mut slots);
    devices(input, &mut args, &mut slots);
    agent_port(input, &mut args, &mut slots);
    args.into_vec()
}

fn machine(input: &Input, args: &mut Args) {
    let vm = input.vm;
    args.pair("-name", vm.name.to_string());
    let machine = match vm.arch {
        Arch::X86_64 => "q35",
        Arch::Aarch64 => "virt",
    };
    let shared = shares_memory(vm);
    args.pair(
        "-machine",
        List::new(machine).set_if(shared, "mem-share", "on"),
    );
    args.pair("-smp", vm.vcpu.to_string());
    args.pair("-m", format!("{}M", vm.memory.mem_mib));
    if let (true, Some(mount)) = (vm.memory.hugepages, &input.facts.hugetlbfs) {
        args.pair("-mem-path", mount.to_string_lossy());
        // Else a page that is missing ends it when the guest first touches it.
        args.flag("-mem-prealloc");
    }
}

fn boot(input: &Input, args: &mut Args) {
    let guest = input.guest;
    args.pair("-kernel", guest.kernel.to_string_lossy());
    args.pair("-initrd", guest.initrd.to_string_lossy());
    args.pair("-append", Stratovirt.command_line(input));
    args.pair("-serial", "stdio");
    if let Some(socket) = &input.vm.socket {
        let socket = socket.display();
        args.pair("-qmp", format!("unix:{socket},server,nowait"));
    }
}

fn shares(input: &Input, args: &mut Args, slots: &mut Slots) {
    let vm = input.vm;
    let mut share = |id: &str, socket: &std::path::Path, tag: &str| {
        let chardev = List::new("socket")
            .set("id", format!("{id}-socket"))
            .path("path", socket);
        args.pair("-chardev", chardev);
        slots.device(args, "vhost-user-fs-pci", id, |device| {
            device
                .set("chardev", format!("{id}-socket"))
                .set("tag", tag)
        });
    };
    if root_share::proto(vm) == Some(RootShare::Virtiofs) {
        share("root", &root_share::socket(vm), root_share::TAG);
    }
    for (index, one) in vm.shares.iter().enumerate() {
        if let ShareProto::Virtiofs { socket, .. } = &one.proto {
            share(&format!("fs{index}"), socket, &one.tag);
        }
    }
}

fn devices(input: &Input, args: &mut Args, slots: &mut Slots) {
    let vm = input.vm;
    args.pair("-object", "rng-random,id=random,filename=/dev/urandom");
    slots.device(args, "virtio-rng-pci", "rng0", |device| {
        device.set("rng", "random")
    });
    if let Some(balloon) = vm.memory.balloon {
        slots.device(args, "virtio-balloon-pci", "balloon0", |device| {
            device
                .set("deflate-on-oom", balloon.deflate_on_oom)
                .set("free-page-reporting", true)
        });
    }
    if let Some(cid) = vm.vsock {
        slots.device(args, "vhost-vsock-pci", "vsock0", |device| {
            device.set("guest-cid", cid)
        });
    }
    for (index, device) in vm.devices.iter().enumerate() {
        if let Device::Pci { address, .. } = device {
            slots.device(args, "vfio-pci", &format!("pci{index}"), |device| {
                device.set("host", address)
            });
        }
    }
}

fn agent_port(input: &Input, args: &mut Args, slots: &mut Slots) {
    slots.device(args, "virtio-serial-pci", "serial0", |device| device);
    let socket = agent_socket(input.vm);
    let socket = socket.display();
    args.pair(
        "-chardev",
        format!("socket,id=agent,path={socket},server,nowait"),
    );
    let port = List::new("virtserialport")
        // Its name in the guest as well.
        .set("id", agent::PORT_NAME)
        .set("chardev", "agent")
        .set("nr", 1);
    args.pair("-device", port);
}
