//! What versions and hosts change for Firecracker and Cloud Hypervisor.

use backend::plan::{HostFacts, Plan, Version};
use spec::Vm;
use spec::vm::{Balloon, Hypervisor, InterfaceKind};

use crate::sample;
use crate::samples::{interface, volume};

fn vm(hypervisor: Hypervisor) -> Vm {
    let mut vm = sample::vm();
    vm.hypervisor = hypervisor;
    vm
}

fn show(vm: &Vm, facts: &HostFacts) -> String {
    match Plan::new(vm, &sample::guest(), facts) {
        Ok(plan) => sample::show_all(&plan),
        Err(refused) => format!("{refused}\n"),
    }
}

/// As old as it may be, on a host that has little.
fn poor(hypervisor: Hypervisor, version: Version) -> HostFacts {
    let mut facts = sample::facts_of(hypervisor);
    facts.version = version;
    facts.options.clear();
    facts.landlock_abi = 0;
    facts.io_uring = false;
    facts
}

#[test]
fn the_oldest_on_a_poor_host() {
    for (hypervisor, version) in [
        (Hypervisor::Firecracker, Version(1, 8, 0)),
        (Hypervisor::CloudHypervisor, Version(36, 0, 0)),
    ] {
        let mut vm = vm(hypervisor);
        vm.volumes.push(volume("var.img"));
        vm.vsock = Some(42.try_into().unwrap());
        vm.memory.balloon = Some(Balloon {
            initial_mib: 64,
            deflate_on_oom: true,
        });
        let tap = InterfaceKind::Tap { vhost: false };
        vm.interfaces.push(interface("vm-web", tap));
        let facts = poor(hypervisor, version);
        insta::assert_snapshot!(format!("{hypervisor}-oldest"), show(&vm, &facts));
    }
}

#[test]
fn older_ones_are_refused() {
    let facts = poor(Hypervisor::Firecracker, Version(1, 7, 0));
    let mut vm = vm(Hypervisor::Firecracker);
    assert!(show(&vm, &facts).contains("has version 1.7.0, which is too old; 1.8.0 or newer"));
    vm.hypervisor = Hypervisor::CloudHypervisor;
    let facts = poor(Hypervisor::CloudHypervisor, Version(35, 0, 0));
    assert!(show(&vm, &facts).contains("36.0.0 or newer is needed"));
}

#[test]
fn without_pci_firecracker_takes_fewer_devices() {
    let mut vm = vm(Hypervisor::Firecracker);
    vm.volumes
        .extend((0..16).map(|n| volume(&format!("{n}.img"))));
    let refused = show(&vm, &poor(Hypervisor::Firecracker, Version(1, 12, 0)));
    assert!(
        refused.contains("has no PCI, which comes with 1.13, and takes 17"),
        "{refused}"
    );
    let accepted = show(&vm, &sample::facts_of(Hypervisor::Firecracker));
    assert!(accepted.contains("--enable-pci"), "{accepted}");
}

#[test]
fn neither_runs_without_kvm() {
    for hypervisor in [Hypervisor::Firecracker, Hypervisor::CloudHypervisor] {
        let mut facts = sample::facts_of(hypervisor);
        facts.accel = sample::tcg();
        facts.no_kvm = Some("there is no `/dev/kvm`".to_owned());
        let refused = show(&vm(hypervisor), &facts);
        assert!(
            refused.contains("needs KVM: there is no `/dev/kvm`"),
            "{refused}"
        );
    }
}

/// What `bin/microvm-run` is given more, such as by `extraArgsScript`.
#[test]
fn later_arguments_go_where_they_are_taken() {
    let mut vm = vm(Hypervisor::CloudHypervisor);
    vm.volumes.push(volume("var.img"));
    let facts = sample::facts_of(vm.hypervisor);
    let argv = Plan::new(&vm, &sample::guest(), &facts).unwrap().argv;
    let more = ["--disk", "path=x.img"].map(str::to_owned);
    let with = argv.with(&more);
    assert_eq!(with.iter().filter(|arg| *arg == "--disk").count(), 1);
    assert_eq!(with.len(), argv.args.len() + 1);
}
