//! Network interfaces: tap by name, macvtap by descriptor.

use spec::Vm;
use spec::vm::{Interface, InterfaceKind};

use super::CloudHypervisor;
use crate::args::{Args, List};
use crate::backends::Backend;
use crate::before::macvtap_fds;

/// MAX_TAP_QUEUES of Linux.
pub(super) const MOST_QUEUES: u32 = 256;

pub(super) fn push(vm: &Vm, args: &mut Args) {
    let interfaces = vm.interfaces.iter().enumerate();
    let nets = interfaces.filter_map(|(index, interface)| net(vm, index, interface));
    args.list("--net", nets.collect());
}

fn net(vm: &Vm, index: usize, interface: &Interface) -> Option<List> {
    let queues = CloudHypervisor.queues(vm);
    let net = match &interface.kind {
        InterfaceKind::Tap { .. } => List::default().set("tap", &interface.id),
        InterfaceKind::Macvtap { .. } => {
            let fds = macvtap_fds(vm, queues, index);
            let texts: Vec<String> = fds.iter().map(i32::to_string).collect();
            List::default().set("fd", format!("[{}]", texts.join(",")))
        }
        // Refused before.
        InterfaceKind::User | InterfaceKind::Bridge { .. } => return None,
    };
    let net = net.set("mac", &interface.mac);
    // A queue for each direction.
    Some(net.set_if(queues > 1, "num_queues", 2 * queues))
}
