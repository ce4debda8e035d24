//! Samples of options that alioth or vfkit reads in its own way.

use backend::features::Feature;
use spec::vm::{
    Access, Arch, Device, Hypervisor, InterfaceKind, QemuDevice, Rosetta, ShareCache, ShareProto,
    VfkitLogLevel,
};

use crate::samples::{Sample, interface, only, share, virtiofs, volume};

pub fn all() -> Vec<Sample> {
    let mut samples = alioth();
    samples.extend(vfkit());
    samples
}

fn alioth() -> Vec<Sample> {
    let alioth = Hypervisor::Alioth;
    let pci = |address: &str| Device::Pci {
        address: address.to_owned(),
        qemu: QemuDevice::default(),
    };
    vec![
        only(alioth, "odd-names", &[], |vm| {
            vm.volumes.push(volume("a,b=c.img"));
            let mut second = volume("id_x.img");
            second.access = Access::ReadOnly;
            vm.volumes.push(second);
            vm.shares.push(share("files", virtiofs("odd=name.sock")));
        }),
        only(alioth, "pci-groups", &[Feature::Pci], |vm| {
            let addresses = ["0000:06:00.0", "0000:07:00.0", "0000:06:00.1"];
            vm.devices.extend(addresses.map(pci));
        }),
        only(alioth, "pci-absent", &[], |vm| {
            vm.devices.push(pci("0000:66:00.0"));
        }),
        only(alioth, "too-many-devices", &[], |vm| {
            vm.volumes
                .extend((0..30).map(|n| volume(&format!("{n}.img"))));
        }),
    ]
}

fn vfkit() -> Vec<Sample> {
    let vfkit = Hypervisor::Vfkit;
    vec![
        only(vfkit, "log-level", &[], |vm| {
            vm.options.vfkit.log_level = Some(VfkitLogLevel::Debug);
        }),
        only(vfkit, "extra-args", &[], |vm| {
            let args = ["--device", "virtio-vsock,port=5,socketURL=/run/web-5.sock"];
            vm.options.vfkit.extra_args = args.map(str::to_owned).into();
        }),
        only(vfkit, "rosetta", &[], |vm| {
            vm.arch = Arch::Aarch64;
            vm.options.vfkit.rosetta = Some(Rosetta {
                install: true,
                ignore_if_missing: true,
            });
        }),
        only(vfkit, "rosetta-on-x86", &[], |vm| {
            vm.options.vfkit.rosetta = Some(Rosetta {
                install: false,
                ignore_if_missing: false,
            });
        }),
        only(vfkit, "odd-socket", &[], |vm| {
            vm.socket = Some("a b%.sock".into());
        }),
        only(vfkit, "quote", &[], |vm| {
            vm.boot.kernel_params = vec!["a=\"b\"".to_owned()];
        }),
        only(vfkit, "daemon-options", &[], |vm| {
            let mut files = share(
                "files",
                ShareProto::Virtiofs {
                    socket: "files.sock".into(),
                    cache: ShareCache::Never,
                    posix_acl: true,
                    extra_args: vec!["--sandbox=none".to_owned()],
                },
            );
            files.access = Access::ReadOnly;
            vm.shares.push(files);
            vm.virtiofsd.program = Some("/opt/virtiofsd".into());
            vm.virtiofsd.thread_pool_size = Some(2);
            vm.virtiofsd.extra_args = vec!["--syslog".to_owned()];
            vm.interfaces.push(interface("a", InterfaceKind::User));
        }),
    ]
}
