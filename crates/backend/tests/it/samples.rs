//! A VM for each option, by name: those that every hypervisor reads, and those of one alone.

use backend::features::Feature;
use backend::plan::GuestFiles;
use spec::Vm;
use spec::vm::{
    Access, Arch, Balloon, Create, Device, Endpoint, ForwardPort, From, Graphics, GraphicsBackend,
    Hotplug, Hypervisor, ImageType, Interface, InterfaceKind, MacvtapMode, PcieRootPort, Proto,
    QemuDevice, QemuMachine, RootShare, SecurityModel, Share, ShareCache, ShareProto, StoreKind,
    Volume, Vulkan,
};

use crate::{own_samples, sample, samples_own};

/// One option, set in a VM.
pub struct Sample {
    pub name: &'static str,
    /// The features that it shows, if any.
    pub features: &'static [Feature],
    /// The hypervisor that alone reads the option.
    pub only: Option<Hypervisor>,
    pub vm: Vm,
    pub guest: GuestFiles,
}

impl Sample {
    /// Whether some version of its hypervisor has all that it shows.
    pub fn is_possible(&self) -> bool {
        let hypervisor = self.vm.hypervisor;
        let mut features = self.features.iter();
        features.all(|feature| feature.support(hypervisor).is_possible())
    }
}

pub fn with(name: &'static str, features: &'static [Feature], set: impl FnOnce(&mut Vm)) -> Sample {
    let mut vm = sample::vm();
    set(&mut vm);
    let guest = match vm.store.kind {
        StoreKind::Share(_) => sample::root_share_guest(),
        _ => sample::guest(),
    };
    Sample {
        name,
        features,
        only: None,
        vm,
        guest,
    }
}

/// A sample of an option that one hypervisor alone reads.
pub fn only(
    hypervisor: Hypervisor,
    name: &'static str,
    features: &'static [Feature],
    set: impl FnOnce(&mut Vm),
) -> Sample {
    Sample {
        only: Some(hypervisor),
        ..with(name, features, set)
    }
}

fn qemu(name: &'static str, features: &'static [Feature], set: impl FnOnce(&mut Vm)) -> Sample {
    only(Hypervisor::Qemu, name, features, set)
}

/// Those that a hypervisor reads, as VMs of it.
pub fn of(hypervisor: Hypervisor) -> Vec<Sample> {
    let mut samples = all();
    samples.retain(|sample| sample.only.is_none_or(|only| only == hypervisor));
    for sample in &mut samples {
        sample.vm.hypervisor = hypervisor;
    }
    samples
}

fn all() -> Vec<Sample> {
    let mut samples = machines();
    samples.extend(memory());
    samples.extend(volumes());
    samples.extend(shares());
    samples.extend(network());
    samples.extend(devices());
    samples.extend(graphics());
    samples.extend(running());
    samples.extend(own_samples::all());
    samples.extend(samples_own::own());
    samples
}

fn machines() -> Vec<Sample> {
    let machine = |machine: QemuMachine| move |vm: &mut Vm| vm.options.qemu.machine = machine;
    vec![
        with("plain", &[Feature::GracefulStop], |_| {}),
        qemu("q35", &[], machine(QemuMachine::Q35)),
        qemu(
            "other-machine",
            &[],
            machine(QemuMachine::Other("pc-q35-7.2".to_owned())),
        ),
        with("virt", &[], on_aarch64),
        with("virt-devices", &[], |vm| {
            on_aarch64(vm);
            vm.volumes.push(volume("var.img"));
            vm.interfaces
                .push(interface("vm-web", InterfaceKind::Tap { vhost: false }));
            vm.vsock = Some(42.try_into().unwrap());
        }),
        qemu("machine-opts", &[], |vm| {
            let opts = [("acpi", "on"), ("pcie", "on"), ("rtc", "on")];
            let opts = opts.map(|(key, value)| (key.to_owned(), value.to_owned()));
            vm.options.qemu.machine_opts = Some(opts.into());
        }),
        qemu("machine-opts-accel", &[], |vm| {
            let opts = [("accel".to_owned(), "tcg".to_owned())];
            vm.options.qemu.machine_opts = Some(opts.into());
        }),
        with("cpu", &[Feature::EmulatedCpu], |vm| {
            vm.cpu = Some("EPYC,+svm".to_owned())
        }),
        with("vcpu", &[], |vm| vm.vcpu = 4.try_into().unwrap()),
    ]
}

fn on_aarch64(vm: &mut Vm) {
    vm.arch = Arch::Aarch64;
    vm.options.qemu.machine = QemuMachine::Virt;
}

fn memory() -> Vec<Sample> {
    let balloon = |deflate_on_oom| Balloon {
        initial_mib: 0,
        deflate_on_oom,
    };
    vec![
        with(
            "balloon",
            &[Feature::Balloon, Feature::DeflateOnOom],
            |vm| vm.memory.balloon = Some(balloon(true)),
        ),
        with(
            "balloon-kept",
            &[Feature::Balloon, Feature::KeepBalloonOnOom],
            |vm| {
                vm.memory.balloon = Some(balloon(false));
            },
        ),
        with("balloon-inflated", &[Feature::InitialBalloon], |vm| {
            vm.memory.balloon = Some(Balloon {
                initial_mib: 128,
                ..balloon(true)
            });
        }),
        with("hugepages", &[Feature::Hugepages], |vm| {
            vm.memory.hugepages = true
        }),
        with("hotplug", &[Feature::HotplugMem], |vm| {
            vm.options.qemu.machine = QemuMachine::Q35;
            vm.memory.hotplug = Some(Hotplug {
                max_mib: 1024,
                plugged_mib: 256,
            });
        }),
        with("hotplug-empty", &[Feature::HotplugMem], |vm| {
            vm.options.qemu.machine = QemuMachine::Q35;
            vm.memory.hotplug = Some(Hotplug {
                max_mib: 1024,
                plugged_mib: 0,
            });
        }),
    ]
}

pub fn volume(image: &str) -> Volume {
    Volume {
        image: image.into(),
        mount_point: Some("/data".into()),
        fs_type: "ext4".to_owned(),
        label: None,
        serial: None,
        access: Access::ReadWrite,
        direct: false,
        create: Create::Auto {
            size_mib: 64,
            mkfs_extra_args: Vec::new(),
        },
        image_type: ImageType::Raw,
    }
}

fn volumes() -> Vec<Sample> {
    let image = |image_type: ImageType, name: &'static str| {
        move |vm: &mut Vm| {
            vm.volumes.push(Volume {
                image_type,
                create: Create::Never,
                ..volume(name)
            });
        }
    };
    vec![
        with(
            "volumes",
            &[Feature::VolumeSerial, Feature::VolumeDirect],
            |vm| {
                vm.volumes.push(volume("var.img"));
                let mut odd = volume("odd, \"name\" with spaces.img");
                odd.serial = Some("backup".to_owned());
                odd.direct = true;
                odd.access = Access::ReadOnly;
                vm.volumes.push(odd);
                vm.volumes.push(volume("/dev/vg/data"));
            },
        ),
        with("several-volumes", &[], |vm| {
            vm.volumes.push(volume("var.img"));
            vm.volumes.push(Volume {
                access: Access::ReadOnly,
                ..volume("/dev/vg/data")
            });
        }),
        with("serial", &[Feature::VolumeSerial], |vm| {
            vm.volumes.push(Volume {
                serial: Some("backup".to_owned()),
                ..volume("backup.img")
            });
        }),
        with("direct", &[Feature::VolumeDirect], |vm| {
            vm.volumes.push(Volume {
                direct: true,
                ..volume("direct.img")
            });
        }),
        with(
            "qcow2",
            &[Feature::Qcow2],
            image(ImageType::Qcow2, "data.qcow2"),
        ),
        with("vhd", &[Feature::Vhd], image(ImageType::Vhd, "data.vhd")),
        with(
            "vhdx",
            &[Feature::Vhdx],
            image(ImageType::Vhdx, "data.vhdx"),
        ),
        with("squashfs", &[], |vm| {
            vm.store.kind = StoreKind::Squashfs { flags: None }
        }),
    ]
}

pub fn share(tag: &str, proto: ShareProto) -> Share {
    Share {
        tag: tag.to_owned().try_into().unwrap(),
        source: "share".into(),
        mount_point: "/mnt".into(),
        access: Access::ReadWrite,
        proto,
    }
}

pub fn nine_p(security_model: SecurityModel) -> ShareProto {
    ShareProto::NineP { security_model }
}

pub fn virtiofs(socket: &str) -> ShareProto {
    ShareProto::Virtiofs {
        socket: socket.into(),
        cache: ShareCache::Auto,
        posix_acl: true,
        extra_args: Vec::new(),
    }
}

fn shares() -> Vec<Sample> {
    vec![
        with("9p-writable", &[Feature::NineP], |vm| {
            vm.shares.push(share("files", nine_p(SecurityModel::None)));
        }),
        with("9p", &[Feature::NineP, Feature::NinePReadOnly], |vm| {
            let mut share = share("files", nine_p(SecurityModel::None));
            share.source = "/srv/a, b".into();
            share.access = Access::ReadOnly;
            vm.shares.push(share);
        }),
        with("9p-mapped", &[Feature::NinePMapped], |vm| {
            vm.shares.push(share("a", nine_p(SecurityModel::Mapped)));
            vm.shares
                .push(share("b", nine_p(SecurityModel::MappedFile)));
            vm.shares
                .push(share("c", nine_p(SecurityModel::Passthrough)));
        }),
        with("virtiofs", &[Feature::Virtiofs], |vm| {
            vm.shares
                .push(share("files", virtiofs("web-virtiofs-files.sock")));
        }),
        with(
            "virtiofs-hugepages",
            &[Feature::Virtiofs, Feature::Hugepages],
            |vm| {
                vm.memory.hugepages = true;
                vm.shares
                    .push(share("files", virtiofs("web-virtiofs-files.sock")));
            },
        ),
        with("root-9p", &[Feature::NineP, Feature::NinePReadOnly], |vm| {
            vm.store.kind = StoreKind::Share(RootShare::NineP)
        }),
        with("root-virtiofs", &[Feature::Virtiofs], |vm| {
            vm.store.kind = StoreKind::Share(RootShare::Virtiofs)
        }),
    ]
}

pub fn interface(id: &str, kind: InterfaceKind) -> Interface {
    Interface {
        id: id.to_owned().try_into().unwrap(),
        mac: "02:00:00:00:00:01".to_owned().try_into().unwrap(),
        kind,
    }
}

pub fn forward(from: From, proto: Proto, host: (&str, u16), guest: (&str, u16)) -> ForwardPort {
    let endpoint = |(address, port): (&str, u16)| Endpoint {
        address: address.parse().ok(),
        port,
    };
    ForwardPort {
        from,
        proto,
        host: endpoint(host),
        guest: endpoint(guest),
    }
}

fn network() -> Vec<Sample> {
    let macvtap = || InterfaceKind::Macvtap {
        link: "eth0".to_owned(),
        mode: MacvtapMode::Bridge,
    };
    vec![
        with("user", &[Feature::UserNet], |vm| {
            vm.interfaces.push(interface("0net", InterfaceKind::User));
        }),
        with(
            "forwards",
            &[Feature::ForwardFromHost, Feature::ForwardFromGuest],
            |vm| {
                vm.interfaces.push(interface("a", InterfaceKind::User));
                vm.interfaces.push(interface("b", InterfaceKind::User));
                vm.forward_ports = vec![
                    forward(From::Host, Proto::Tcp, ("", 2222), ("", 22)),
                    forward(
                        From::Host,
                        Proto::Udp,
                        ("127.0.0.1", 5353),
                        ("10.0.2.15", 53),
                    ),
                    forward(From::Guest, Proto::Tcp, ("", 8080), ("10.0.2.100", 80)),
                    forward(
                        From::Guest,
                        Proto::Tcp,
                        ("127.0.0.1", 8081),
                        ("10.0.2.2", 8081),
                    ),
                    forward(From::Guest, Proto::Udp, ("", 514), ("", 514)),
                ];
            },
        ),
        with("tap", &[Feature::Tap], |vm| {
            vm.interfaces
                .push(interface("vm-web", InterfaceKind::Tap { vhost: false }));
        }),
        with("tap-vhost", &[Feature::TapVhost], |vm| {
            vm.interfaces
                .push(interface("vm-web", InterfaceKind::Tap { vhost: true }));
        }),
        with("tap-several", &[Feature::Tap], |vm| {
            vm.vcpu = 4.try_into().unwrap();
            for id in ["vm-a", "vm-b"] {
                vm.interfaces
                    .push(interface(id, InterfaceKind::Tap { vhost: false }));
            }
        }),
        with("tap-queues", &[Feature::TapVhost], |vm| {
            vm.vcpu = 4.try_into().unwrap();
            vm.interfaces
                .push(interface("vm-web", InterfaceKind::Tap { vhost: true }));
        }),
        with("macvtap", &[Feature::Macvtap], |vm| {
            vm.interfaces.push(interface("mv0", macvtap()));
            vm.interfaces.push(interface("mv1", macvtap()));
        }),
        with("macvtap-queues", &[Feature::Macvtap], |vm| {
            vm.vcpu = 2.try_into().unwrap();
            vm.interfaces.push(interface("mv0", macvtap()));
            vm.interfaces.push(interface("mv1", macvtap()));
        }),
        with("bridge", &[Feature::Bridge], |vm| {
            let bridge = "br0".to_owned().try_into().unwrap();
            vm.interfaces
                .push(interface("br-web", InterfaceKind::Bridge { bridge }));
        }),
    ]
}

fn devices() -> Vec<Sample> {
    let root_port = PcieRootPort {
        id: "rp1".to_owned(),
        bus: Some("pcie.0".to_owned()),
        chassis: Some(1),
        slot: Some("0".to_owned()),
        addr: Some("0x5".to_owned()),
    };
    vec![
        with("pci", &[Feature::Pci], |vm| {
            vm.devices.push(Device::Pci {
                address: "0000:06:00.1".to_owned(),
                qemu: QemuDevice {
                    id: Some("gpu".to_owned()),
                    bus: None,
                    extra_args: Some("x-vga=on,rombar=0".to_owned()),
                },
            });
        }),
        with("usb", &[Feature::Usb], |vm| {
            vm.devices.push(Device::Usb {
                path: "vendorid=0x1050,productid=0x0407".to_owned(),
                qemu: QemuDevice::default(),
            });
        }),
        qemu("root-port", &[Feature::PcieRootPorts], |vm| {
            vm.options.qemu.pcie_root_ports.push(root_port);
        }),
        with("vsock", &[Feature::Vsock], |vm| {
            vm.vsock = Some(42.try_into().unwrap())
        }),
        with("credentials", &[Feature::Credentials], |vm| {
            let file = "/run/keys/a, b".into();
            vm.credential_files.insert("token".to_owned(), file);
        }),
        with("many-devices", &[], |vm| {
            vm.volumes
                .extend((0..23).map(|n| volume(&format!("{n}.img"))));
        }),
    ]
}

fn graphics() -> Vec<Sample> {
    let graphics = |backend: GraphicsBackend, vulkan: Option<Vulkan>| {
        move |vm: &mut Vm| {
            vm.graphics = Some(Graphics {
                backend,
                socket: "web-gpu.sock".into(),
                vulkan,
                hostmem: "256M".to_owned(),
            });
        }
    };
    let (venus, drm) = (Some(Vulkan::Venus), Some(Vulkan::DrmNativeContext));
    vec![
        with(
            "gtk",
            &[Feature::Graphics],
            graphics(GraphicsBackend::Gtk, None),
        ),
        with(
            "cocoa",
            &[Feature::Graphics],
            graphics(GraphicsBackend::Cocoa, None),
        ),
        with(
            "headless",
            &[Feature::Headless],
            graphics(GraphicsBackend::Headless, None),
        ),
        with(
            "venus",
            &[Feature::Venus],
            graphics(GraphicsBackend::Headless, venus),
        ),
        with(
            "drm",
            &[Feature::DrmNativeContext],
            graphics(GraphicsBackend::Gtk, drm),
        ),
    ]
}

fn running() -> Vec<Sample> {
    vec![
        with("no-socket", &[], |vm| vm.socket = None),
        qemu("no-serial", &[], |vm| {
            vm.options.qemu.serial_console = false
        }),
        with("kernel-params", &[], |vm| {
            vm.boot.kernel_params = vec!["quiet".to_owned(), "user.param=2".to_owned()];
        }),
        qemu("extra-args", &[], |vm| {
            let args = ["-rtc", "base=localtime"].map(str::to_owned);
            vm.options.qemu.extra_args = args.into();
            vm.extra_args_script = Some("/srv/more-args".into());
            vm.pre_start = "echo starting".to_owned();
        }),
        with("scripts", &[], |vm| {
            vm.extra_args_script = Some("/srv/more-args".into());
            vm.pre_start = "echo starting".to_owned();
        }),
        with("user-switch", &[Feature::SwitchUser], |vm| {
            vm.user = Some("microvm".to_owned())
        }),
    ]
}
