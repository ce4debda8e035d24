//! What StratoVirt cannot do beyond the table.

use spec::Vm;
use spec::vm::{RootShare, ShareProto, StoreKind};

use super::slots::LAST;
use crate::plan::Input;
use crate::refused::{Reason, Refusal};

/// VIRTIO_BLK_ID_BYTES.
const LONGEST_SERIAL: usize = 20;
/// One byte less than virtio-fs has.
const LONGEST_TAG: usize = 35;
/// What it accepts for `-m`.
const MEM_MIB: std::ops::RangeInclusive<u64> = 128..=512 * 1024;
/// Of a huge page.
const HUGE_MIB: u64 = 2;
/// What it accepts for `-smp`.
const MOST_VCPUS: u32 = 254;

pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = size(vm);
    limits.extend(names(vm));
    if vm.socket.is_none() {
        let message = "StratoVirt does not start without a control socket; leave `socket` out, or \
                       name one";
        limits.push(limit("socket", "null", message));
    }
    let slots = slots(vm);
    if slots > usize::from(LAST) {
        let message = format!("Too many devices for the machine's bus; {LAST} are possible");
        limits.push(limit("devices", slots, message));
    }
    limits
}

fn limit(option: impl Into<String>, value: impl ToString, message: impl Into<String>) -> Refusal {
    Refusal {
        option: option.into(),
        value: value.to_string(),
        message: message.into(),
        able: Vec::new(),
    }
}

fn size(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    let mib = vm.memory.mem_mib;
    if !MEM_MIB.contains(&mib) {
        let (least, most) = (MEM_MIB.start(), MEM_MIB.end());
        let message = format!("StratoVirt gives a guest {least} to {most} MiB");
        limits.push(limit("mem", mib, message));
    }
    if vm.memory.hugepages && !mib.is_multiple_of(HUGE_MIB) {
        let message = "Memory in huge pages is a multiple of 2 MiB";
        limits.push(limit("mem", mib, message));
    }
    if vm.vcpu.get() > MOST_VCPUS {
        let message = format!("StratoVirt gives a guest at most {MOST_VCPUS} processors");
        limits.push(limit("vcpu", vm.vcpu, message));
    }
    limits
}

fn names(vm: &Vm) -> Vec<Refusal> {
    let serials = vm.volumes.iter().enumerate().filter_map(|(index, volume)| {
        let serial = volume.serial.as_ref()?;
        (serial.len() > LONGEST_SERIAL).then(|| {
            let message = format!("A serial number has at most {LONGEST_SERIAL} bytes");
            limit(format!("volumes[{index}].serial"), serial, message)
        })
    });
    let tags = vm.shares.iter().enumerate().filter_map(|(index, share)| {
        let is_virtiofs = matches!(share.proto, ShareProto::Virtiofs { .. });
        (is_virtiofs && share.tag.len() > LONGEST_TAG).then(|| {
            let message = format!("With StratoVirt a tag has at most {LONGEST_TAG} bytes");
            limit(format!("shares[{index}].tag"), &share.tag, message)
        })
    });
    serials.chain(tags).collect()
}

fn slots(vm: &Vm) -> usize {
    let entropy_and_agent = 2;
    let root = match vm.store.kind {
        StoreKind::Share(RootShare::NineP) => 0,
        _ => 1,
    };
    let optional = [
        vm.memory.balloon.is_some(),
        vm.vsock.is_some(),
        !vm.credential_files.is_empty(),
    ];
    entropy_and_agent
        + root
        + vm.volumes.len()
        + vm.shares.len()
        + vm.interfaces.len()
        + vm.devices.len()
        + optional.into_iter().filter(|there| *there).count()
}

/// Huge pages are taken from a mount of them.
pub(super) fn host_reasons(input: &Input) -> Vec<Reason> {
    let wants = input.vm.memory.hugepages && input.facts.hugetlbfs.is_none();
    wants.then_some(Reason::NoHugetlbfs).into_iter().collect()
}
