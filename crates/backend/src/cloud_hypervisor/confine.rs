//! What Cloud Hypervisor gives up before the guest runs: system calls, and files by Landlock.

use spec::Vm;
use spec::vm::InterfaceKind;

use super::devices;
use crate::args::{Args, List};
use crate::plan::Input;

/// Version of Landlock that it insists on (54); kernels from 6.2 have it.
const LANDLOCK_ABI: u32 = 3;

pub(super) fn push(input: &Input, args: &mut Args) {
    args.pair("--seccomp", "true");
    let has_option = input.facts.options.contains("--landlock");
    if !has_option || input.facts.landlock_abi < LANDLOCK_ABI {
        return;
    }
    args.flag("--landlock");
    // Files of its own options it allows by itself.
    args.list("--landlock-rules", rules(input.vm));
}

fn rules(vm: &Vm) -> Vec<List> {
    let rule = |path: &str, access: &str| List::default().set("path", path).set("access", access);
    let mut rules = Vec::new();
    if vm.vsock.is_some() {
        // It allows to make a socket where the path of one has a directory in it.
        rules.push(rule(".", "w"));
    }
    // Whether a tap has several queues it reads there, which it does not allow itself (54). A tap
    // that is missing is an error then, and not made in its place.
    rules.extend(
        vm.interfaces
            .iter()
            .filter_map(|interface| match interface.kind {
                InterfaceKind::Tap { .. } => {
                    Some(rule(&format!("/sys/class/net/{}", interface.id), "r"))
                }
                _ => None,
            }),
    );
    // It takes a device's address for the number of its IOMMU group (54).
    let mut devices = vm.devices.iter().filter_map(devices::sysfs).peekable();
    if devices.peek().is_some() {
        rules.push(rule("/dev/vfio", "rw"));
    }
    rules.extend(devices.map(|path| rule(&path, "rw")));
    rules
}
