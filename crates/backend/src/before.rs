//! What is done before any hypervisor starts, in this order.

use std::path::PathBuf;

use spec::Vm;
use spec::vm::{ImageType, InterfaceKind};

use crate::control::Control;
use crate::plan::Action;

/// Descriptors of macvtap devices begin here, well above what anything else has open.
const FIRST_MACVTAP_FD: i32 = 100;

/// The descriptor on which a hypervisor tells of events.
pub(crate) const EVENTS_FD: i32 = 97;
/// The descriptor under which a configuration file is passed.
pub(crate) const CONFIG_FD: i32 = 98;
/// The descriptor under which the disk with credentials is passed.
pub(crate) const CREDENTIALS_FD: i32 = 99;

/// The user's own commands, then volumes, then sockets that a crash left.
pub(crate) fn actions(vm: &Vm, control: &Control) -> Vec<Action> {
    let mut actions = Vec::new();
    if !vm.pre_start.is_empty() {
        actions.push(Action::PreStart(vm.pre_start.clone()));
    }
    actions.extend(vm.volumes.iter().cloned().map(Action::PrepareVolume));
    let sockets = control.sockets().into_iter().map(PathBuf::from);
    actions.extend(sockets.map(Action::RemoveStaleSocket));
    actions
}

/// For hypervisors that look into an image for its format, whatever the definition says.
pub(crate) fn raw_volumes(vm: &Vm) -> Vec<Action> {
    let volumes = vm.volumes.iter();
    volumes
        .filter(|volume| volume.image_type == ImageType::Raw)
        .map(|volume| Action::CheckRaw(volume.image.clone()))
        .collect()
}

/// Last, for its program may look at what the others made.
pub(crate) fn extra_args(vm: &Vm) -> Option<Action> {
    vm.extra_args_script.clone().map(Action::ExtraArgs)
}

/// The disk with the credentials, where a VM has any.
pub(crate) fn credentials(vm: &Vm) -> Option<Action> {
    (!vm.credential_files.is_empty()).then(|| Action::PassCredentials {
        files: vm.credential_files.clone(),
        fd: CREDENTIALS_FD,
    })
}

/// What a program opens to read what was passed to it as a descriptor.
pub(crate) fn path_of_fd(fd: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{fd}"))
}

/// What the executor opens for macvtap interfaces, in the order of the interfaces.
pub(crate) fn macvtaps(vm: &Vm, queues: u32) -> Vec<Action> {
    let of_macvtap = vm.interfaces.iter().enumerate();
    of_macvtap
        .filter_map(|(index, interface)| {
            let InterfaceKind::Macvtap { mode, .. } = interface.kind else {
                return None;
            };
            Some(Action::OpenMacvtap {
                id: interface.id.to_string(),
                mode,
                queues,
                first_fd: *macvtap_fds(vm, queues, index).first()?,
            })
        })
        .collect()
}

/// The descriptors of the macvtap interface at `index` of all interfaces, one a queue.
pub(crate) fn macvtap_fds(vm: &Vm, queues: u32, index: usize) -> Vec<i32> {
    let is_macvtap = |kind: &InterfaceKind| matches!(kind, InterfaceKind::Macvtap { .. });
    let earlier = vm.interfaces.iter().take(index);
    let earlier = earlier
        .filter(|interface| is_macvtap(&interface.kind))
        .count();
    let all = FIRST_MACVTAP_FD..;
    all.skip(earlier * queues as usize)
        .take(queues as usize)
        .collect()
}
