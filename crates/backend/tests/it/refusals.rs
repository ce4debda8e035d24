//! What is refused, with which words, and that it is all said at once.

use backend::features::refusals;
use backend::plan::{Plan, Version};
use backend::refused::ReasonKind;
use rstest::rstest;
use spec::Vm;
use spec::vm::{
    Arch, Balloon, Device, From, Graphics, GraphicsBackend, Hotplug, Hypervisor, InterfaceKind,
    Kernel, PcieRootPort, Proto, QemuDevice, QemuMachine, RootShare, SecurityModel, StoreKind,
    Vulkan,
};

use crate::sample;
use crate::samples::{forward, interface, nine_p, share, virtiofs, volume};

/// A VM that asks for as much as possible.
fn greedy() -> Vm {
    let mut vm = sample::vm();
    vm.cpu = Some("Nehalem".to_owned());
    vm.user = Some("microvm".to_owned());
    vm.memory.hugepages = true;
    vm.memory.hotplug = Some(Hotplug {
        max_mib: 1024,
        plugged_mib: 512,
    });
    vm.memory.balloon = Some(Balloon {
        initial_mib: 128,
        deflate_on_oom: false,
    });
    vm.store.kind = StoreKind::Share(RootShare::Virtiofs);
    let mut disk = volume("a.img");
    disk.serial = Some("a-serial-number-of-more-than-twenty".to_owned());
    disk.direct = true;
    vm.volumes.push(disk);
    vm.shares.push(share("a", nine_p(SecurityModel::Mapped)));
    vm.shares.push(share("b", virtiofs("b.sock")));
    vm.interfaces.push(interface("u", InterfaceKind::User));
    vm.interfaces
        .push(interface("t", InterfaceKind::Tap { vhost: true }));
    vm.forward_ports
        .push(forward(From::Host, Proto::Tcp, ("", 2222), ("", 22)));
    vm.devices.push(Device::Usb {
        path: "hostbus=1,hostaddr=2".to_owned(),
        qemu: QemuDevice::default(),
    });
    vm.credential_files
        .insert("token".to_owned(), "/run/token".into());
    vm.graphics = Some(Graphics {
        backend: GraphicsBackend::Headless,
        socket: "gpu.sock".into(),
        vulkan: Some(Vulkan::Venus),
        hostmem: "256M".to_owned(),
    });
    vm
}

#[rstest]
fn all_at_once(
    #[values(
        Hypervisor::Qemu,
        Hypervisor::CloudHypervisor,
        Hypervisor::Firecracker,
        Hypervisor::Crosvm,
        Hypervisor::Kvmtool,
        Hypervisor::Stratovirt,
        Hypervisor::Alioth,
        Hypervisor::Vfkit
    )]
    hypervisor: Hypervisor,
) {
    let mut vm = greedy();
    vm.hypervisor = hypervisor;
    let refused = Plan::new(&vm, &sample::root_share_guest(), &sample::facts()).unwrap_err();
    assert_eq!(refused.kind(), ReasonKind::Definition);
    insta::assert_snapshot!(backend::features::name(hypervisor), refused);
}

fn only(set: impl FnOnce(&mut Vm)) -> String {
    let mut vm = sample::vm();
    set(&mut vm);
    let texts: Vec<String> = refusals(&vm).iter().map(ToString::to_string).collect();
    texts.join("\n")
}

/// A forward from the guest on a VM with a user network.
fn guest_forward(proto: Proto, host: (&str, u16), guest: (&str, u16)) -> String {
    only(|vm| {
        vm.interfaces.push(interface("u", InterfaceKind::User));
        vm.forward_ports
            .push(forward(From::Guest, proto, host, guest));
    })
}

#[test]
fn limits_of_qemu() {
    let cases = [
        ("x86 machine on arm", only(|vm| vm.arch = Arch::Aarch64)),
        (
            "arm machine on x86",
            only(|vm| vm.options.qemu.machine = QemuMachine::Virt),
        ),
        (
            "user's machine options without PCI",
            only(|vm| {
                let opts = [("acpi".to_owned(), "on".to_owned())];
                vm.options.qemu.machine_opts = Some(opts.into());
                vm.devices.push(Device::Pci {
                    address: "0000:00:05.0".to_owned(),
                    qemu: QemuDevice::default(),
                });
            }),
        ),
        (
            "more devices than slots",
            only(|vm| {
                vm.volumes
                    .extend((0..29).map(|n| volume(&format!("{n}.img"))))
            }),
        ),
        (
            "odd sizes",
            only(|vm| {
                vm.options.qemu.machine = QemuMachine::Q35;
                vm.memory.mem_mib = 513;
                vm.memory.hugepages = true;
                vm.memory.hotplug = Some(Hotplug {
                    max_mib: 1023,
                    plugged_mib: 3,
                });
            }),
        ),
        (
            "long names",
            only(|vm| {
                vm.shares
                    .push(share(&"t".repeat(32), nine_p(SecurityModel::None)));
                vm.credential_files.insert("c".repeat(29), "/c".into());
            }),
        ),
        (
            "ids",
            only(|vm| {
                vm.options.qemu.pcie_root_ports.push(PcieRootPort {
                    id: "1,x".to_owned(),
                    bus: None,
                    chassis: None,
                    slot: None,
                    addr: None,
                });
            }),
        ),
        (
            "forward without network",
            only(|vm| {
                let rule = forward(From::Host, Proto::Tcp, ("", 2222), ("", 22));
                vm.forward_ports.push(rule);
            }),
        ),
        (
            "udp to another port",
            guest_forward(Proto::Udp, ("", 53), ("", 54)),
        ),
        (
            "udp to another host",
            guest_forward(Proto::Udp, ("10.1.1.1", 53), ("", 53)),
        ),
        (
            "tcp at the host's address",
            guest_forward(Proto::Tcp, ("", 81), ("10.0.2.2", 80)),
        ),
        (
            "tcp elsewhere",
            guest_forward(Proto::Tcp, ("", 80), ("192.168.0.1", 80)),
        ),
        (
            "tcp accepted",
            guest_forward(Proto::Tcp, ("", 80), ("10.0.2.4", 80)),
        ),
        (
            "udp accepted",
            guest_forward(Proto::Udp, ("127.0.0.1", 53), ("10.0.2.2", 53)),
        ),
    ];
    let text: String = cases
        .iter()
        .map(|(name, refusals)| format!("# {name}\n{refusals}\n\n"))
        .collect();
    insta::assert_snapshot!(text);
}

#[test]
fn programs_of_the_host() {
    let mut vm = sample::vm();
    let bridge = "br0".to_owned().try_into().unwrap();
    vm.interfaces.push(interface("u", InterfaceKind::User));
    vm.interfaces
        .push(interface("b", InterfaceKind::Bridge { bridge }));
    vm.forward_ports
        .push(forward(From::Guest, Proto::Tcp, ("", 80), ("", 80)));
    let mut facts = sample::facts();
    facts.version = Version(6, 2, 0);
    facts.bridge_helper = None;
    facts.relay = None;
    let refused = Plan::new(&vm, &sample::guest(), &facts).unwrap_err();
    assert_eq!(refused.kind(), ReasonKind::Program);
    insta::assert_snapshot!(refused);
}

#[test]
fn a_command_line_that_the_kernel_would_cut() {
    let mut vm = sample::vm();
    vm.boot.kernel_params.push("x".repeat(2048));
    let refused = Plan::new(&vm, &sample::guest(), &sample::facts()).unwrap_err();
    insta::assert_snapshot!(refused);
}

#[rstest]
#[case(1, Kernel::Cloud, Arch::X86_64, false)]
#[case(2, Kernel::Cloud, Arch::X86_64, true)]
#[case(2, Kernel::Auto, Arch::X86_64, false)]
#[case(2, Kernel::Cloud, Arch::Aarch64, false)]
fn kvmtool_wants_a_kernel_that_finds_its_processors(
    #[case] vcpu: u32,
    #[case] kernel: Kernel,
    #[case] arch: Arch,
    #[case] is_refused: bool,
) {
    let refused = only(|vm| {
        vm.hypervisor = Hypervisor::Kvmtool;
        vm.vcpu = vcpu.try_into().unwrap();
        vm.boot.kernel = kernel;
        vm.arch = arch;
    });
    assert_eq!(
        refused.contains("`kernel` = `cloud`"),
        is_refused,
        "{refused}"
    );
}
