//! Argument vectors of QEMU: for every option, and for versions, machines and accelerators.

use backend::accel::accel_line;
use backend::control::Api;
use backend::plan::{Accel, Plan, Version};
use rstest::rstest;
use spec::vm::{Arch, Hypervisor, InterfaceKind, QemuMachine};

use crate::sample;
use crate::samples;

/// A version that has what no older one has.
const NEWEST: Version = Version(11, 0, 0);

/// What QEMU can do.
fn possible() -> impl Iterator<Item = samples::Sample> {
    let all = samples::of(Hypervisor::Qemu).into_iter();
    all.filter(samples::Sample::is_possible)
}

#[rstest]
#[case::old("7.2", Version(7, 2, 22))]
#[case::new("10", Version(10, 0, 2))]
fn every_option(#[case] label: &str, #[case] version: Version) {
    for sample in possible() {
        let mut facts = sample::facts();
        facts.version = version;
        facts.root = true;
        let text = match Plan::new(&sample.vm, &sample.guest, &facts) {
            Ok(plan) => sample::show(&plan),
            Err(refused) => format!("{refused}\n"),
        };
        insta::assert_snapshot!(format!("{label}-{}", sample.name), text);
    }
}

#[rstest]
fn machine_and_accel(
    #[values(QemuMachine::Microvm, QemuMachine::Q35, QemuMachine::Virt)] machine: QemuMachine,
    #[values(Accel::Kvm, sample::tcg())] accel: Accel,
) {
    let mut vm = sample::vm();
    if machine == QemuMachine::Virt {
        vm.arch = Arch::Aarch64;
    }
    let name = format!(
        "{}-{}",
        serde_json::json!(machine),
        serde_json::json!(accel)
    )
    .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "");
    vm.options.qemu.machine = machine;
    vm.interfaces
        .push(samples::interface("a", InterfaceKind::User));
    let facts = backend::plan::HostFacts {
        accel,
        ..sample::facts()
    };
    let plan = Plan::new(&vm, &sample::guest(), &facts).unwrap();
    let text = format!("{}\n{}", accel_line(&vm, &facts), sample::show(&plan));
    insta::assert_snapshot!(name, text);
}

#[test]
fn a_poor_host_gets_what_it_can() {
    let mut facts = sample::facts();
    facts.io_uring = false;
    facts.sandbox = false;
    let vm = sample::vm();
    let plan = Plan::new(&vm, &sample::guest(), &facts).unwrap();
    assert!(plan.argv.args.iter().any(|arg| arg.contains("threads")));
    assert!(!plan.argv.args.iter().any(|arg| arg == "-sandbox"));
    assert_eq!(
        plan.control.api,
        Api::Qmp {
            socket: "web.sock".into()
        }
    );
}

#[test]
fn only_root_switches_user() {
    let mut vm = sample::vm();
    vm.user = Some("microvm".to_owned());
    let plan = Plan::new(&vm, &sample::guest(), &sample::facts()).unwrap();
    assert!(!plan.argv.args.iter().any(|arg| arg == "-runas"));
}

#[test]
fn the_newest_has_vulkan() {
    for sample in possible() {
        let mut facts = sample::facts();
        facts.version = NEWEST;
        Plan::new(&sample.vm, &sample.guest, &facts)
            .unwrap_or_else(|refused| panic!("{}: {refused}", sample.name));
    }
}

#[test]
fn a_cpu_is_emulated_even_with_kvm() {
    let mut vm = sample::vm();
    vm.cpu = Some("Nehalem".to_owned());
    let facts = sample::facts();
    let plan = Plan::new(&vm, &sample::guest(), &facts).unwrap();
    assert!(plan.argv.args.iter().any(|arg| arg == "tcg"));
    assert_eq!(
        accel_line(&vm, &facts),
        "Emulates the processor `Nehalem` in software (TCG), as `cpu` asks."
    );
}

#[test]
fn what_is_built_in_takes_the_same_arguments() {
    let mut vm = sample::vm();
    vm.hypervisor = Hypervisor::Alioth;
    let facts = sample::facts_of(vm.hypervisor);
    let external = Plan::new(&vm, &sample::guest(), &facts).unwrap();
    let facts = backend::plan::HostFacts {
        built_in: true,
        ..facts
    };
    let built_in = Plan::new(&vm, &sample::guest(), &facts).unwrap();
    assert_eq!(built_in.argv.args[0], "alioth");
    assert_eq!(built_in.argv.args[1..], external.argv.args);
}
