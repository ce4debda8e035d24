//! Runner packages: their files, and that they can be read back.

use std::path::Path;

use backend::package::{Content, Runner, entries};
use spec::Vm;
use spec::vm::{Hypervisor, InterfaceKind, RootShare, StoreKind};

use crate::sample;
use crate::samples::{self, interface};

fn show(vm: &Vm) -> String {
    let guest = match vm.store.kind {
        StoreKind::Share(_) => sample::root_share_guest(),
        _ => sample::guest(),
    };
    let exe = Path::new("/usr/bin/microvm");
    let entries = entries(vm, &guest, Path::new("/s/system"), exe).unwrap();
    let lines = entries.iter().map(|entry| match &entry.content {
        Content::File(_) if entry.path.ends_with("spec.json") => {
            format!("{}\n", entry.path.display())
        }
        Content::File(text) => format!("{} {text:?}\n", entry.path.display()),
        Content::Link(target) => {
            format!("{} -> {}\n", entry.path.display(), target.display())
        }
    });
    lines.collect()
}

#[test]
fn small() {
    insta::assert_snapshot!(show(&sample::vm()));
}

#[test]
fn large() {
    let mut vm = sample::vm();
    for sample in samples::of(Hypervisor::Qemu) {
        vm.interfaces.extend(sample.vm.interfaces);
        vm.shares.extend(sample.vm.shares);
        vm.devices.extend(sample.vm.devices);
        vm.vsock = vm.vsock.or(sample.vm.vsock);
        vm.memory.balloon = vm.memory.balloon.or(sample.vm.memory.balloon);
    }
    vm.vcpu = 2.try_into().unwrap();
    vm.register_with_machined = true;
    vm.store.kind = StoreKind::Share(RootShare::Virtiofs);
    insta::assert_snapshot!(show(&vm));
}

#[test]
fn without_socket_nothing_is_controlled() {
    let mut vm = sample::vm();
    vm.socket = None;
    assert!(!show(&vm).contains("microvm-shutdown"));
}

#[test]
fn queues_of_taps_agree_with_the_arguments() {
    let mut vm = sample::vm();
    let tap = InterfaceKind::Tap { vhost: false };
    vm.interfaces.push(interface("t", tap));
    assert!(!show(&vm).contains("multi_queue"));
    vm.vcpu = 2.try_into().unwrap();
    assert!(show(&vm).contains("multi_queue"));
    let opts = [("pcie".to_owned(), "off".to_owned())];
    vm.options.qemu.machine_opts = Some(opts.into());
    assert!(!show(&vm).contains("multi_queue"));
}

#[test]
fn a_spec_is_read_back() {
    let (vm, guest) = (sample::vm(), sample::guest());
    let entries = entries(&vm, &guest, Path::new("/s"), Path::new("/m")).unwrap();
    let spec = entries
        .iter()
        .find(|entry| entry.path.ends_with("spec.json"));
    let Content::File(text) = &spec.unwrap().content else {
        panic!("no file");
    };
    let runner = Runner::parse(text).unwrap();
    assert_eq!((runner.vm, runner.guest), (vm, guest));
}

#[test]
fn other_versions_are_called_that() {
    let newer = Runner::parse(r#"{"version": 2, "machines": []}"#).unwrap_err();
    assert_eq!(
        newer.to_string(),
        "The runner package has format version 2; this program reads 1"
    );
    let broken = Runner::parse("{").unwrap_err();
    assert_eq!(
        broken.to_string(),
        "Not the description of a runner package"
    );
}
