//! What crosvm cannot do, beyond what the feature table tells.

use spec::Vm;
use spec::vm::{SecurityModel, ShareProto};

use crate::refused::{Refusal, limit};

/// VIRTIO_BLK_ID_BYTES.
const LONGEST_SERIAL: usize = 20;
/// Pairs that Linux opens for one tap (MAX_TAP_QUEUES).
pub(super) const MOST_QUEUES: u32 = 256;

pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = volumes(vm);
    limits.extend(shares(vm));
    limits.extend(balloon(vm));
    limits
}

fn volumes(vm: &Vm) -> Vec<Refusal> {
    let volumes = vm.volumes.iter().enumerate();
    volumes
        .filter_map(|(index, volume)| Some((index, volume.serial.as_ref()?)))
        .filter(|(_, serial)| serial.len() > LONGEST_SERIAL || !serial.is_ascii())
        .map(|(index, serial)| {
            let message = format!("A serial number has at most {LONGEST_SERIAL} ASCII characters");
            limit(format!("volumes[{index}].serial"), serial, message)
        })
        .collect()
}

fn shares(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    for (index, share) in vm.shares.iter().enumerate() {
        let ShareProto::NineP { security_model } = share.proto else {
            continue;
        };
        if share.source.to_string_lossy().contains(':') {
            let message = "crosvm takes a `:` for the end of the directory of a 9p share; choose \
                           another name, or `proto = \"virtiofs\"`";
            let option = format!("shares[{index}].source");
            limits.push(limit(option, share.source.display(), message));
        }
        if security_model == SecurityModel::Passthrough {
            let message = "Files that the guest makes on a 9p share of crosvm's belong to the \
                           user it runs as; `none` says so";
            let option = format!("shares[{index}].securityModel");
            limits.push(limit(option, "passthrough", message));
        }
    }
    limits
}

fn balloon(vm: &Vm) -> Option<Refusal> {
    let initial = vm.memory.balloon?.initial_mib;
    (initial >= vm.memory.mem_mib).then(|| {
        let message = format!(
            "The guest has {} MiB in all; leave it some",
            vm.memory.mem_mib
        );
        limit("initialBalloonMem", initial, message)
    })
}
