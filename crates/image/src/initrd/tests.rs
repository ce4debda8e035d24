//! What guest-init is told, and which modules it gets, for each hypervisor.

use std::path::Path;

use rstest::rstest;
use spec::Vm;
use spec::read::{HostDefaults, Source, parse_toml};
use spec::vm::{Arch, Hypervisor};

use super::*;

const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

fn vm(hypervisor: Hypervisor, arch: Arch, options: &str) -> Vm {
    let source = Source {
        file: "microvm.toml",
        base_dir: Path::new("/definitions"),
        host: HostDefaults {
            arch,
            mem_mib: None,
            cpus: None,
        },
    };
    let text = format!("[vm.web]\nhypervisor = \"{hypervisor}\"\n{options}\n");
    let fleet = parse_toml(&source, &text).unwrap();
    fleet.vms.into_values().next().unwrap()
}

fn all() -> impl Iterator<Item = (Hypervisor, Arch)> {
    let arches = |hypervisor| ARCHES.map(|arch| (hypervisor, arch));
    Hypervisor::ALL.into_iter().flat_map(arches)
}

fn names(vm: &Vm) -> Vec<&'static str> {
    wanted::modules(vm)
        .iter()
        .map(|wanted| wanted.name)
        .collect()
}

/// Everything that the hypervisor decides, in one picture.
#[test]
fn each_hypervisor_gets_its_own() {
    let options = "credentialFiles = { token = \"/token\" }\n\
                   [[vm.web.volumes]]\nimage = \"var.img\"\nsize = 64\nmountPoint = \"/var\"";
    let mut picture = String::new();
    for (hypervisor, arch) in all() {
        let vm = vm(hypervisor, arch, options);
        let config = boot::config(&vm, Vec::new()).render();
        let own: Vec<&str> = config
            .lines()
            .filter(|line| {
                ["leave ", "agent ", "credentials ", "root ", "mount "]
                    .iter()
                    .any(|start| line.starts_with(start))
            })
            .collect();
        picture += &format!(
            "{hypervisor} {arch}: {}\n  {}\n",
            own.join(", "),
            names(&vm).join(" ")
        );
    }
    insta::assert_snapshot!(picture);
}

#[rstest]
#[case("", None)]
#[case("credentialFiles = { a = \"/a\" }", Some(1))]
#[case("credentialFiles = { a = \"/a\" }\nstoreOnDisk = false", Some(0))]
fn credentials_come_after_all_other_disks(#[case] options: &str, #[case] place: Option<u32>) {
    let vm = vm(Hypervisor::CloudHypervisor, Arch::X86_64, options);
    assert_eq!(boot::credentials_disk(&vm).map(|disk| disk.index), place);
}

#[test]
fn a_channel_of_vsock_needs_its_driver_without_a_cid() {
    let alioth = vm(Hypervisor::Alioth, Arch::X86_64, "");
    assert!(alioth.vsock.is_none());
    assert!(names(&alioth).contains(&"vmw_vsock_virtio_transport"));
    let qemu = vm(Hypervisor::Qemu, Arch::X86_64, "");
    assert!(!names(&qemu).contains(&"vmw_vsock_virtio_transport"));
}

#[rstest]
#[case("guest.directory = \"/tree\"", Hypervisor::Qemu, true)]
#[case("guest.oci = \"./image\"", Hypervisor::CloudHypervisor, true)]
#[case("guest.debian = {}", Hypervisor::Qemu, false)]
#[case("guest.directory = \"/tree\"", Hypervisor::Firecracker, false)]
fn a_guest_that_may_not_hear_the_button_has_who_does(
    #[case] source: &str,
    #[case] hypervisor: Hypervisor,
    #[case] expected: bool,
) {
    let vm = vm(hypervisor, Arch::X86_64, source);
    let config = boot::config(&vm, Vec::new()).render();
    assert_eq!(config.contains("agent button power\n"), expected);
    assert_eq!(names(&vm).contains(&"evdev"), expected);
}
