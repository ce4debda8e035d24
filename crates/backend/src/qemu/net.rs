//! Network interfaces: user, tap, macvtap and bridge.

use spec::vm::{Interface, InterfaceKind};

use super::transport::{Bus, queues};
use super::{Context, forward};
use crate::args::{Args, Opts, switch};
use crate::before::macvtap_fds;

pub(super) fn push(context: &Context, args: &mut Args) {
    let mut forwards = forward::rules(context);
    for (index, interface) in context.vm.interfaces.iter().enumerate() {
        // Our own ids, because QEMU's may not begin with a digit.
        let id = format!("net{index}");
        let netdev = match &interface.kind {
            // A port can be bound once: the first user interface has all forwards.
            InterfaceKind::User => std::mem::take(&mut forwards)
                .into_iter()
                .fold(Opts::new("user").set("id", &id), |netdev, (key, rule)| {
                    netdev.set(key, rule)
                }),
            InterfaceKind::Tap { vhost } => tap(context, &id, interface, *vhost),
            InterfaceKind::Macvtap { .. } => macvtap(context, &id, index),
            InterfaceKind::Bridge { bridge } => Opts::new("bridge")
                .set("id", &id)
                .set("br", bridge)
                .set_some(
                    "helper",
                    context.facts.bridge_helper.as_ref().map(|h| h.display()),
                ),
        };
        args.pair("-netdev", netdev);
        args.pair("-device", device(context, &id, interface));
    }
}

fn tap(context: &Context, id: &str, interface: &Interface, vhost: bool) -> Opts {
    let queues = queues(context.vm);
    Opts::new("tap")
        .set("id", id)
        .set("ifname", &interface.id)
        .set("script", "no")
        .set("downscript", "no")
        .set("vhost", switch(vhost))
        .set_if(queues > 1, "queues", queues)
}

fn macvtap(context: &Context, id: &str, index: usize) -> Opts {
    let fds = macvtap_fds(context.vm, queues(context.vm), index);
    let netdev = Opts::new("tap").set("id", id);
    match fds.as_slice() {
        [fd] => netdev.set("fd", fd),
        several => {
            let texts: Vec<String> = several.iter().map(i32::to_string).collect();
            netdev.set("fds", texts.join(":"))
        }
    }
}

fn device(context: &Context, id: &str, interface: &Interface) -> Opts {
    let device = context
        .bus
        .device("virtio-net")
        .set("netdev", id)
        .set("mac", &interface.mac);
    let queues = match interface.kind {
        InterfaceKind::Tap { .. } | InterfaceKind::Macvtap { .. } => queues(context.vm),
        InterfaceKind::User | InterfaceKind::Bridge { .. } => 1,
    };
    device
        // The boot ROM is of no use, and a package of its own that may be missing.
        .set_if(context.bus == Bus::Pci, "romfile", "")
        .set_if(queues > 1, "mq", "on")
        // One for each queue, one for control and one for changes of the configuration.
        .set_if(queues > 1, "vectors", 2 * queues + 2)
}
