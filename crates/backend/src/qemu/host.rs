//! What stands against a VM on one host: the version of QEMU, and programs it needs beside it.

use std::path::Path;

use spec::Vm;
use spec::vm::{InterfaceKind, ShareProto};

use super::{Context, console, forward};
use crate::features::{Support, needs};
use crate::plan::{GuestFiles, HostFacts, Version};
use crate::refused::Reason;

/// The oldest QEMU whose arguments these are.
const OLDEST: Version = Version(7, 2, 0);

/// Every reason of the host's, all at once.
pub(crate) fn host_reasons(vm: &Vm, guest: &GuestFiles, facts: &HostFacts) -> Vec<Reason> {
    let mut reasons = versions(vm, facts);
    reasons.extend(programs(vm, facts));
    reasons.extend(paths(vm, guest));
    let command_line = console::command_line(&Context::new(vm, guest, facts));
    if command_line.len() > console::LONGEST_COMMAND_LINE {
        reasons.push(Reason::CommandLine {
            length: command_line.len(),
            most: console::LONGEST_COMMAND_LINE,
        });
    }
    reasons
}

fn versions(vm: &Vm, facts: &HostFacts) -> Vec<Reason> {
    if facts.version < OLDEST {
        return vec![Reason::TooOld {
            program: facts.program.clone(),
            found: facts.version,
            least: OLDEST,
        }];
    }
    let needs = needs(vm).into_iter();
    needs
        .filter_map(|need| match need.feature.support(vm.hypervisor) {
            Support::Since(least) if facts.version < least => Some(Reason::FeatureTooOld {
                feature: need.feature,
                option: need.option,
                value: need.value,
                program: facts.program.clone(),
                found: facts.version,
                least,
            }),
            _ => None,
        })
        .collect()
}

fn programs(vm: &Vm, facts: &HostFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let bridge = vm
        .interfaces
        .iter()
        .position(|interface| matches!(interface.kind, InterfaceKind::Bridge { .. }));
    if let (Some(index), None) = (bridge, &facts.bridge_helper) {
        reasons.push(Reason::NoProgram {
            option: format!("interfaces[{index}].type"),
            program: "qemu-bridge-helper",
        });
    }
    if let (Some(index), None) = (forward::relayed(vm).next(), &facts.relay) {
        reasons.push(Reason::NoProgram {
            option: format!("forwardPorts[{index}].from"),
            program: "microvm",
        });
    }
    reasons
}

/// Arguments are text, so that paths must be.
fn paths(vm: &Vm, guest: &GuestFiles) -> Vec<Reason> {
    let mut paths: Vec<&Path> = vec![&guest.kernel, &guest.initrd];
    paths.extend(guest.store_disk.as_deref());
    paths.extend(guest.root_tree.as_deref());
    paths.extend(vm.credential_files.values().map(|file| file.as_path()));
    paths.extend(vm.volumes.iter().map(|volume| volume.image.as_path()));
    paths.extend(vm.shares.iter().map(|share| match &share.proto {
        ShareProto::NineP { .. } => share.source.as_path(),
        ShareProto::Virtiofs { socket, .. } => socket.as_path(),
    }));
    paths.extend(vm.socket.as_deref());
    paths
        .into_iter()
        .filter(|path| path.to_str().is_none())
        .map(|path| Reason::NotUnicode {
            path: path.to_owned(),
        })
        .collect()
}
