//! What Firecracker cannot do whatever the host: known before anything is built.

use spec::Vm;

use super::slots;
use crate::refused::Refusal;

/// MAX_SUPPORTED_VCPUS (1.17).
const MOST_VCPUS: u32 = 32;
/// Size of a huge page.
const HUGE_MIB: u64 = 2;
/// Size of KVM's memory slots of a virtio-mem device, unless the user says otherwise.
const SLOT_MIB: u64 = 128;

/// Keys of the configuration file (1.17).
const KEYS: [&str; 13] = [
    "balloon",
    "boot-source",
    "cpu-config",
    "drives",
    "entropy",
    "logger",
    "machine-config",
    "memory-hotplug",
    "metrics",
    "mmds-config",
    "network-interfaces",
    "pmem",
    "vsock",
];

/// Arguments that the definition decides, and where.
const OURS: [(&str, &str); 3] = [
    ("--config-file", "firecracker.extraConfig"),
    ("--api-sock", "socket"),
    ("--no-api", "socket"),
];

/// Everything of a VM that no Firecracker can do, all at once.
pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = memory(vm);
    if vm.vcpu.get() > MOST_VCPUS {
        let message = format!("Firecracker gives a guest at most {MOST_VCPUS} vCPUs");
        limits.push(limit("vcpu", vm.vcpu, message));
    }
    let devices = slots::devices(vm);
    if devices > slots::PCI {
        let message = format!(
            "With everything else these are {devices} devices; {} are possible",
            slots::PCI
        );
        limits.push(limit("volumes", vm.volumes.len(), message));
    }
    limits.extend(config(vm));
    limits.extend(arguments(vm));
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

fn memory(vm: &Vm) -> Vec<Refusal> {
    let memory = &vm.memory;
    let mut limits = Vec::new();
    if memory.hugepages && !memory.mem_mib.is_multiple_of(HUGE_MIB) {
        let message = "Memory in huge pages is a multiple of 2 MiB";
        limits.push(limit("mem", memory.mem_mib, message));
    }
    let Some(hotplug) = memory.hotplug else {
        return limits;
    };
    if !hotplug.max_mib.is_multiple_of(SLOT_MIB) {
        let message = "Firecracker adds memory in multiples of 128 MiB";
        limits.push(limit("hotplugMem", hotplug.max_mib, message));
    }
    if hotplug.plugged_mib > 0 {
        let message = "Firecracker starts with none of it plugged, and plugs it when its API is \
                       told to (`PATCH /hotplug/memory`): accepted is 0";
        limits.push(limit("hotpluggedMem", hotplug.plugged_mib, message));
    }
    limits
}

/// Firecracker passes over keys that it does not know.
fn config(vm: &Vm) -> Vec<Refusal> {
    let keys = vm.options.firecracker.extra_config.iter();
    keys.filter(|(key, _)| !KEYS.contains(&key.as_str()))
        .map(|(key, value)| {
            let accepted: Vec<String> = KEYS.iter().map(|key| format!("`{key}`")).collect();
            let message = format!(
                "Not a key of Firecracker's configuration; {} are",
                accepted.join(", ")
            );
            let option = format!("firecracker.extraConfig.{key}");
            limit(option, value, message)
        })
        .collect()
}

fn arguments(vm: &Vm) -> Vec<Refusal> {
    let extra = vm.options.firecracker.extra_args.iter().enumerate();
    extra
        .filter_map(|(index, arg)| {
            let (_, option) = OURS.iter().find(|(ours, _)| ours == arg)?;
            let message = format!("The definition decides that: `{option}` does");
            Some(limit(
                format!("firecracker.extraArgs[{index}]"),
                arg,
                message,
            ))
        })
        .collect()
}
