//! Memory: size, backend, huge pages, balloon and virtio-mem.

use super::Context;
use super::transport::Bus;
use crate::args::{Args, Opts, switch};

pub(super) fn push(context: &Context, args: &mut Args) {
    let memory = &context.vm.memory;
    args.pair("-m", size(context));
    if context.has_memory_backend() {
        args.pair("-object", backend(context, "mem", memory.mem_mib));
    }
    balloon(context, args);
    hotplug(context, args);
}

fn size(context: &Context) -> Opts {
    let memory = &context.vm.memory;
    let most = memory
        .hotplug
        .map(|hotplug| format!("{}M", memory.mem_mib + hotplug.max_mib));
    Opts::new("")
        .set("size", format!("{}M", memory.mem_mib))
        .set_some("maxmem", most)
}

/// Memory that a virtiofs daemon can map where there is one, in huge pages where asked for.
fn backend(context: &Context, id: &str, mib: u64) -> Opts {
    Opts::new("memory-backend-memfd")
        .set("id", id)
        .set("size", format!("{mib}M"))
        .set("share", switch(context.shares_memory()))
        .set_if(context.vm.memory.hugepages, "hugetlb", "on")
}

fn balloon(context: &Context, args: &mut Args) {
    let Some(balloon) = context.vm.memory.balloon else {
        return;
    };
    let device = context
        .bus
        .device("virtio-balloon")
        .set("id", "balloon0")
        .set("free-page-reporting", "on")
        .set("deflate-on-oom", switch(balloon.deflate_on_oom));
    args.pair("-device", device);
}

fn hotplug(context: &Context, args: &mut Args) {
    let Some(hotplug) = context.vm.memory.hotplug else {
        return;
    };
    let hugepages = context.vm.memory.hugepages;
    let backend = backend(context, "vmem", hotplug.max_mib)
        // Only what is plugged is taken from the host. Huge pages stay reserved: where they run
        // out, touching one would kill QEMU.
        .set_if(!hugepages, "reserve", "off");
    args.pair("-object", backend);
    let device = Bus::Pci
        .device("virtio-mem")
        .set("id", "vmem0")
        .set("memdev", "vmem")
        .set("requested-size", format!("{}M", hotplug.plugged_mib));
    args.pair("-device", device);
}
