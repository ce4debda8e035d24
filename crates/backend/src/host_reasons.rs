//! What stands against a VM on one host, whatever its hypervisor: versions, paths, the length of
//! the kernel command line, KVM.

use std::collections::BTreeSet;
use std::path::Path;

use spec::vm::{InterfaceKind, ShareProto};

use crate::backends::Backend;
use crate::features::{Support, needs};
use crate::plan::{Accel, HostFacts, Input};
use crate::refused::Reason;
use spec::vm::Hypervisor;

/// COMMAND_LINE_SIZE of Linux on both architectures, without the closing zero.
const LONGEST_COMMAND_LINE: usize = 2047;

/// Every reason of the host's, all at once.
pub(crate) fn host_reasons(backend: &dyn Backend, input: &Input) -> Vec<Reason> {
    let mut reasons = versions(backend, input);
    reasons.extend(kvm(input));
    reasons.extend(devices(input));
    reasons.extend(backend.host_reasons(input));
    reasons.extend(paths(backend, input));
    if !reasons
        .iter()
        .any(|it| matches!(it, Reason::CommandLine { .. }))
    {
        reasons.extend(too_long(backend.command_line(input).len()));
    }
    reasons
}

/// Of a kernel command line, in bytes.
pub(crate) fn too_long(length: usize) -> Option<Reason> {
    let most = LONGEST_COMMAND_LINE;
    (length > most).then_some(Reason::CommandLine { length, most })
}

/// Those of the wanted options and commands that the program's help does not name.
pub(crate) fn missing_options(facts: &HostFacts, wanted: Vec<String>) -> Option<Reason> {
    let wanted: BTreeSet<String> = wanted.into_iter().collect();
    let missing = wanted.difference(&facts.options);
    let quoted: Vec<String> = missing.map(|option| format!("`{option}`")).collect();
    (!quoted.is_empty()).then(|| Reason::NoOptions {
        program: facts.program.clone(),
        options: quoted.join(", "),
    })
}

fn versions(backend: &dyn Backend, input: &Input) -> Vec<Reason> {
    let (vm, facts) = (input.vm, input.facts);
    if facts.version < backend.oldest() {
        return vec![Reason::TooOld {
            program: facts.program.clone(),
            found: facts.version,
            least: backend.oldest(),
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

/// QEMU alone emulates a processor; vfkit has macOS' own hypervisor.
fn kvm(input: &Input) -> Option<Reason> {
    let hypervisor = input.vm.hypervisor;
    let has_own = matches!(hypervisor, Hypervisor::Qemu | Hypervisor::Vfkit);
    (!has_own && input.facts.accel != Accel::Kvm).then(|| Reason::NoKvm {
        hypervisor,
        why: input.facts.no_kvm.clone().unwrap_or_default(),
    })
}

/// Devices of the kernel that the VM's options need.
fn devices(input: &Input) -> Vec<Reason> {
    let (vm, facts) = (input.vm, input.facts);
    let mut reasons = Vec::new();
    let vhost = |kind: &InterfaceKind| matches!(kind, InterfaceKind::Tap { vhost: true });
    let tap = vm.interfaces.iter().position(|i| vhost(&i.kind));
    if let (Some(index), false) = (tap, facts.vhost_net) {
        reasons.push(Reason::NoDevice {
            option: format!("interfaces[{index}].tap.vhost"),
            device: "/dev/vhost-net",
            module: "vhost_net",
        });
    }
    let through_kernel = matches!(
        vm.hypervisor,
        Hypervisor::Qemu | Hypervisor::Crosvm | Hypervisor::Kvmtool | Hypervisor::Stratovirt
    );
    if vm.vsock.is_some() && through_kernel && !facts.vhost_vsock {
        reasons.push(Reason::NoDevice {
            option: "vsock.cid".to_owned(),
            device: "/dev/vhost-vsock",
            module: "vhost_vsock",
        });
    }
    reasons
}

/// Arguments are text, so that paths must be.
fn paths(backend: &dyn Backend, input: &Input) -> Vec<Reason> {
    let (vm, guest) = (input.vm, input.guest);
    let mut paths: Vec<&Path> = vec![&guest.kernel, &guest.initrd];
    paths.extend(guest.store_disk.as_deref());
    paths.extend(guest.root_tree.as_deref());
    // Elsewhere their content is handed over, not their path.
    if vm.hypervisor == Hypervisor::Qemu {
        paths.extend(vm.credential_files.values().map(|file| file.as_path()));
    }
    paths.extend(vm.volumes.iter().map(|volume| volume.image.as_path()));
    paths.extend(vm.shares.iter().map(|share| match &share.proto {
        ShareProto::Virtiofs { socket, .. } if vm.hypervisor != Hypervisor::Vfkit => {
            socket.as_path()
        }
        // vfkit serves it itself.
        ShareProto::NineP { .. } | ShareProto::Virtiofs { .. } => share.source.as_path(),
    }));
    paths.extend(vm.socket.as_deref());
    let paths = paths.into_iter();
    paths
        .filter_map(|path| match path.to_str() {
            None => Some(Reason::NotUnicode {
                path: path.to_owned(),
            }),
            Some(text) => Some(Reason::Unquotable {
                hypervisor: vm.hypervisor,
                character: text.chars().find(|c| backend.unquotable().contains(c))?,
                path: path.to_owned(),
            }),
        })
        .collect()
}
