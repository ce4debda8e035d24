//! What two VMs of a fleet cannot share.

use std::collections::HashMap;

use super::network::{HostPort, host_ports};
use super::paths::{plain, sockets};
use crate::problem::{Kind, Problem};
use crate::read::Definition;

/// Problems between VMs, each with the index of the VM that came second.
pub fn fleet(vms: &[Definition<'_>]) -> Vec<(usize, Problem)> {
    let mut shared = Shared {
        vms,
        seen: HashMap::new(),
        problems: Vec::new(),
    };
    let (mut ports, mut written) = (HashMap::new(), HashMap::new());
    for (index, vm) in vms.iter().enumerate() {
        interfaces(index, vm, &mut shared);
        if let Some(cid) = vm.vm.int("vsock.cid") {
            shared.add(index, "CID", cid.to_string(), "vsock.cid".to_owned());
        }
        for (option, socket) in sockets(vm) {
            if socket.starts_with('/') {
                shared.add(index, "socket", plain(&socket), option);
            }
        }
        images(index, vm, &mut written, &mut shared);
        forwards(index, vm, &mut ports, &mut shared);
    }
    shared.problems
}

/// Which VM was the first with a value.
struct Shared<'v, 'a> {
    vms: &'v [Definition<'a>],
    seen: HashMap<(&'static str, String), usize>,
    problems: Vec<(usize, Problem)>,
}

impl Shared<'_, '_> {
    fn add(&mut self, index: usize, what: &'static str, value: String, option: String) {
        let first = *self.seen.entry((what, value.clone())).or_insert(index);
        if first != index {
            self.report(index, first, what, &value, option);
        }
    }

    fn report(&mut self, index: usize, first: usize, what: &str, value: &str, option: String) {
        let message = format!("VM `{}` has the {what} `{value}` too", self.vms[first].name);
        let problem = Problem::about(option, message).kind(Kind::Duplicate);
        self.problems.push((index, problem.value(value)));
    }
}

/// Who has an image, and whether it writes to it.
type Images = HashMap<String, Vec<(usize, bool)>>;

/// Several VMs may read one image, as long as none of them writes.
fn images(index: usize, vm: &Definition<'_>, images: &mut Images, shared: &mut Shared<'_, '_>) {
    for (at, volume) in vm.vm.items("volumes").enumerate() {
        let absolute = volume.text("image").filter(|image| image.starts_with('/'));
        let Some(image) = absolute.map(plain) else {
            continue;
        };
        let writes = !volume.bool("readOnly");
        let users = images.entry(image.clone()).or_default();
        let other = users
            .iter()
            .find(|(other, also)| *other != index && (writes || *also));
        if let Some((first, _)) = other {
            let option = format!("volumes[{at}].image");
            shared.report(index, *first, "image", &image, option);
        }
        users.push((index, writes));
    }
}

fn interfaces(index: usize, vm: &Definition<'_>, shared: &mut Shared<'_, '_>) {
    for (at, interface) in vm.vm.items("interfaces").enumerate() {
        if let Some(mac) = interface.text("mac") {
            let mac = mac.to_ascii_lowercase();
            shared.add(index, "MAC address", mac, format!("interfaces[{at}].mac"));
        }
        // The names of the others are not seen by the host.
        let on_host = matches!(interface.text("type"), Some("tap" | "macvtap"));
        if let Some(id) = interface.text("id").filter(|_| on_host) {
            shared.add(
                index,
                "interface",
                id.to_owned(),
                format!("interfaces[{at}].id"),
            );
        }
    }
}

type Ports<'a> = HashMap<i64, Vec<(usize, HostPort<'a>)>>;

fn forwards<'a>(
    index: usize,
    vm: &Definition<'a>,
    ports: &mut Ports<'a>,
    shared: &mut Shared<'_, '_>,
) {
    for port in host_ports(vm) {
        let same = ports.entry(port.port).or_default();
        let first = same
            .iter()
            .find(|(other, first)| *other != index && first.overlaps(&port));
        if let Some((first, _)) = first {
            let what = format!("{} port", port.proto);
            shared.report(index, *first, &what, &port.port.to_string(), port.option());
        }
        same.push((index, port));
    }
}
