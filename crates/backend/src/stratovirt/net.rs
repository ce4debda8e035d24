//! Network interfaces: tap by name, macvtap by descriptor.

use spec::vm::InterfaceKind;

use super::Stratovirt;
use super::slots::Slots;
use crate::args::{Args, List, switch};
use crate::backends::Backend;
use crate::before::macvtap_fds;
use crate::plan::Input;

pub(super) fn push(input: &Input, args: &mut Args, slots: &mut Slots) {
    let queues = Stratovirt.queues(input.vm);
    for (index, interface) in input.vm.interfaces.iter().enumerate() {
        let id = format!("net{index}");
        let netdev = List::new("tap").set("id", format!("{id}-tap"));
        let netdev = match &interface.kind {
            InterfaceKind::Tap { vhost } => netdev
                .set("ifname", &interface.id)
                .set("vhost", switch(*vhost))
                .set_if(queues > 1, "queues", queues),
            InterfaceKind::Macvtap { .. } => {
                let fds = macvtap_fds(input.vm, queues, index);
                let fds: Vec<String> = fds.iter().map(i32::to_string).collect();
                netdev.set("fds", fds.join(":"))
            }
            InterfaceKind::User | InterfaceKind::Bridge { .. } => continue,
        };
        args.pair("-netdev", netdev);
        slots.device(args, "virtio-net-pci", &id, |device| {
            device
                .set("netdev", format!("{id}-tap"))
                .set("mac", &interface.mac)
                .set_if(queues > 1, "mq", "on")
        });
    }
}
