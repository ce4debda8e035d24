//! Memory, kernel, devices.

use super::unique::Unique;
use crate::options::closest;
use crate::problem::{Kind, Problem};
use crate::read::Definition;

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    processors(vm, problems);
    memory(vm, problems);
    kernel(vm, problems);
    devices(vm, problems);
}

/// More processors than the host has are slow, not wrong; so many more are a mistake.
fn processors(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let (Some(vcpu), Some(host)) = (vm.vm.unsigned("vcpu"), vm.host.cpus) else {
        return;
    };
    let limit = 64.max(16 * u64::from(host));
    if vcpu > limit {
        let message = format!("`{vcpu}` is far beyond the {host} processors that this host has");
        let problem = Problem::about("vcpu", message).kind(Kind::Host);
        problems.push(
            problem
                .value(vcpu.to_string())
                .accepted(format!("a number from 1 to {limit} on this host")),
        );
    }
}

fn memory(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mem = vm.vm.unsigned("mem");
    if let (Some(mem), Some(host)) = (mem, vm.host.mem_mib)
        && mem > host
    {
        let message = format!("`{mem}` MiB is more than the {host} MiB that this host has");
        let problem = Problem::about("mem", message).kind(Kind::Host);
        problems.push(problem.value(mem.to_string()));
    }
    if let Some(mem) = mem.filter(|mem| mem % 2 == 1 && vm.vm.bool("hugepageMem")) {
        let message =
            format!("`{mem}` MiB is no whole number of huge pages, which have 2 MiB each");
        let problem = Problem::about("mem", message).value(mem.to_string());
        problems.push(problem.accepted("an even number with `hugepageMem`"));
    }
    let (hotplug, plugged) = (
        vm.vm.unsigned("hotplugMem"),
        vm.vm.unsigned("hotpluggedMem"),
    );
    if let (Some(hotplug), Some(plugged)) = (hotplug, plugged)
        && plugged > hotplug
    {
        let message = format!("`{plugged}` is more than `hotplugMem`, which is {hotplug}");
        let problem = Problem::about("hotpluggedMem", message).value(plugged.to_string());
        problems.push(match hotplug {
            0 => problem.hint("`hotplugMem` is how much can be plugged in all"),
            _ => problem.accepted(format!("a number from 0 to {hotplug}")),
        });
    }
    balloon(vm, mem, problems);
}

fn balloon(vm: &Definition<'_>, mem: Option<u64>, problems: &mut Vec<Problem>) {
    let initial = vm.vm.unsigned("initialBalloonMem").unwrap_or(0);
    if initial == 0 {
        return;
    }
    let about =
        |message: String| Problem::about("initialBalloonMem", message).value(initial.to_string());
    if !vm.vm.bool("balloon") {
        let problem = about("There is no balloon to hold it".to_owned());
        problems.push(problem.hint("set `balloon = true`"));
    }
    if let Some(mem) = mem.filter(|mem| initial >= *mem) {
        let message = format!("`{initial}` leaves the guest nothing of its {mem} MiB");
        problems.push(about(message).accepted("less than `mem`"));
    }
}

fn kernel(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    const NAMES: [&str; 2] = ["cloud", "generic"];
    let Some(kernel) = vm.vm.text("kernel") else {
        return;
    };
    if !kernel.is_empty() && !NAMES.contains(&kernel) && !kernel.contains('/') {
        let near = closest(kernel, NAMES.into_iter()).map(str::to_owned);
        let problem = Problem::about("kernel", format!("`{kernel}` is no kernel that is known"))
            .value(kernel)
            .accepted("`cloud`, `generic` or a path with a `/`")
            .nearest(near.or_else(|| Some(format!("./{kernel}"))));
        problems.push(problem);
    }
}

fn devices(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let mut paths = Unique::new("a device");
    for (index, device) in vm.vm.items("devices").enumerate() {
        let option = format!("devices[{index}].path");
        let Some(path) = device.text("path") else {
            continue;
        };
        match device.text("bus") {
            Some("pci") => match pci_address(path) {
                Some(address) => paths.add(&address, &option, problems),
                None => problems.push(
                    Problem::about(option, format!("`{path}` is no PCI address"))
                        .value(path)
                        .accepted("domain, bus, device and function, such as `0000:06:00.0`"),
                ),
            },
            Some("usb") => {
                if !is_usb(path) {
                    let accepted = "`vendorid=0x1234,productid=0x5678` or `hostbus=1,hostaddr=2`";
                    let problem = Problem::about(&option, format!("`{path}` names no USB device"));
                    problems.push(problem.value(path).accepted(accepted));
                }
                paths.add(path, &option, problems);
            }
            _ => {}
        }
    }
    let mut ports = Unique::new("the name of a port");
    for (index, port) in vm.vm.items("qemu.pcieRootPorts").enumerate() {
        if let Some(id) = port.text("id") {
            ports.add(id, &format!("qemu.pcieRootPorts[{index}].id"), problems);
        }
    }
}

/// `DDDD:BB:DD.F` in lower case; the domain may be left out, and is 0 then.
pub fn pci_address(text: &str) -> Option<String> {
    let full = match text.matches(':').count() {
        1 => format!("0000:{text}"),
        _ => text.to_owned(),
    };
    let full = full.to_ascii_lowercase();
    let hex =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = full.split(':');
    let (domain, bus, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (device, function) = rest.split_once('.')?;
    let right = hex(domain, 4)
        && hex(bus, 2)
        && hex(device, 2)
        && function.len() == 1
        && function.bytes().all(|b| (b'0'..=b'7').contains(&b))
        && parts.next().is_none();
    right.then_some(full)
}

/// Properties of QEMU's `usb-host` that choose a device.
fn is_usb(text: &str) -> bool {
    const KEYS: [&str; 5] = ["vendorid", "productid", "hostbus", "hostaddr", "hostport"];
    text.split(',').all(|property| {
        property.split_once('=').is_some_and(|(key, value)| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
            KEYS.contains(&key) && !value.is_empty() && value.bytes().all(plain)
        })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0000:06:00.0", Some("0000:06:00.0"))]
    #[case("06:0A.7", Some("0000:06:0a.7"))]
    #[case("06:00.8", None)]
    #[case("../../06:00.0", None)]
    #[case("0000:06:00", None)]
    fn pci(#[case] text: &str, #[case] address: Option<&str>) {
        assert_eq!(pci_address(text).as_deref(), address);
    }

    #[rstest]
    #[case("vendorid=0x1234,productid=0x5678", true)]
    #[case("hostbus=1,hostport=2.1", true)]
    #[case("/dev/bus/usb/001/002", false)]
    #[case("vendorid=0x1,guest-reset=off", false)]
    fn usb(#[case] text: &str, #[case] right: bool) {
        assert_eq!(is_usb(text), right);
    }
}
