//! Processors, memory, balloon and virtio-mem.

use spec::Vm;
use spec::vm::{RootShare, ShareProto};

use crate::args::{Args, List, switch};
use crate::root_share;

pub(super) fn push(vm: &Vm, args: &mut Args) {
    args.pair("--cpus", List::default().set("boot", vm.vcpu));
    args.pair("--memory", memory(vm));
    if let Some(balloon) = vm.memory.balloon {
        let balloon = List::default()
            .set("size", format!("{}M", balloon.initial_mib))
            .set("deflate_on_oom", switch(balloon.deflate_on_oom))
            .set("free_page_reporting", "on");
        args.pair("--balloon", balloon);
    }
}

fn memory(vm: &Vm) -> List {
    let list = List::default()
        .set("size", format!("{}M", vm.memory.mem_mib))
        .set_if(shares_memory(vm), "shared", "on")
        .set_if(vm.memory.hugepages, "hugepages", "on");
    match vm.memory.hotplug {
        None => list,
        Some(hotplug) => list
            .set("hotplug_method", "virtio-mem")
            .set("hotplug_size", format!("{}M", hotplug.max_mib))
            .set("hotplugged_size", format!("{}M", hotplug.plugged_mib)),
    }
}

/// Whether a virtiofs daemon maps the guest's memory.
fn shares_memory(vm: &Vm) -> bool {
    let is_virtiofs = |proto: &ShareProto| matches!(proto, ShareProto::Virtiofs { .. });
    root_share::proto(vm) == Some(RootShare::Virtiofs)
        || vm.shares.iter().any(|share| is_virtiofs(&share.proto))
}
