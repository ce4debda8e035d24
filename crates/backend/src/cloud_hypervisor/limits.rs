//! What Cloud Hypervisor cannot do whatever the host: known before anything is built.

use spec::Vm;
use spec::vm::Arch;

use crate::refused::Refusal;

/// What its option parser reads as more than a letter of a value.
pub(super) const SPECIAL: [char; 4] = [',', '"', '[', ']'];

/// VIRTIO_BLK_ID_BYTES; longer ones are cut off without a word.
const LONGEST_SERIAL: usize = 20;
/// Size of a huge page, and of what virtio-mem plugs at once.
const HUGE_MIB: u64 = 2;
/// VIRTIO_MEM_ALIGN_SIZE (54).
const HOTPLUG_MIB: u64 = 128;
/// Slots of a PCI segment without its bridge.
const PCI_SLOTS: usize = 31;

/// Arguments that the definition decides, and where.
const OURS: [(&str, &str); 2] = [("--api-socket", "socket"), ("--no-shutdown", "microvm")];

/// Everything of a VM that no Cloud Hypervisor can do, all at once.
pub(super) fn limits(vm: &Vm) -> Vec<Refusal> {
    let mut limits = memory(vm);
    limits.extend(serials(vm));
    limits.extend(oem_strings(vm));
    limits.extend(
        vm.interfaces
            .iter()
            .enumerate()
            .filter_map(|(index, it)| special(&format!("interfaces[{index}].id"), &it.id)),
    );
    let devices = devices(vm);
    if devices > PCI_SLOTS {
        let message =
            format!("With everything else these are {devices} devices; {PCI_SLOTS} are possible");
        limits.push(limit("volumes", vm.volumes.len(), message));
    }
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
    if !hotplug.max_mib.is_multiple_of(HOTPLUG_MIB) {
        let message = "Cloud Hypervisor adds memory in multiples of 128 MiB";
        limits.push(limit("hotplugMem", hotplug.max_mib, message));
    }
    if !hotplug.plugged_mib.is_multiple_of(HUGE_MIB) {
        let message = "virtio-mem plugs memory in multiples of 2 MiB";
        limits.push(limit("hotpluggedMem", hotplug.plugged_mib, message));
    }
    limits
}

fn serials(vm: &Vm) -> Vec<Refusal> {
    let mut limits = Vec::new();
    for (index, volume) in vm.volumes.iter().enumerate() {
        let Some(serial) = &volume.serial else {
            continue;
        };
        let option = format!("volumes[{index}].serial");
        if serial.len() > LONGEST_SERIAL {
            let message = format!("A serial number has at most {LONGEST_SERIAL} bytes");
            limits.push(limit(option.clone(), serial, message));
        }
        limits.extend(special(&option, serial));
    }
    limits
}

fn oem_strings(vm: &Vm) -> Vec<Refusal> {
    let strings = &vm.options.cloud_hypervisor.platform_oem_strings;
    let mut limits = Vec::new();
    if vm.arch == Arch::Aarch64 && !strings.is_empty() {
        let message = "Cloud Hypervisor gives OEM strings to guests of x86_64 alone";
        let option = "cloud-hypervisor.platformOEMStrings";
        limits.push(limit(option, strings.join(" "), message));
    }
    for (index, string) in strings.iter().enumerate() {
        let option = format!("cloud-hypervisor.platformOEMStrings[{index}]");
        if string.is_empty() || string.trim() != string {
            let message = "Not a string that arrives as it is: one that is not empty and neither \
                           begins nor ends with white space does";
            limits.push(limit(option.clone(), string, message));
        }
        limits.extend(special(&option, string));
    }
    limits
}

fn special(option: &str, value: &str) -> Option<Refusal> {
    let character = value.chars().find(|c| SPECIAL.contains(c))?;
    let message = format!(
        "A `{character}` means something else to Cloud Hypervisor; a value without `,`, `\"`, `[` \
         and `]` is accepted"
    );
    Some(limit(option, value, message))
}

fn devices(vm: &Vm) -> usize {
    let store_rng_watchdog_and_pvpanic = 4;
    let optional = [
        vm.memory.balloon.is_some(),
        vm.memory.hotplug.is_some(),
        vm.vsock.is_some(),
        !vm.credential_files.is_empty(),
    ];
    store_rng_watchdog_and_pvpanic
        + vm.volumes.len()
        + vm.shares.len()
        + vm.interfaces.len()
        + vm.devices.len()
        + optional.into_iter().filter(|there| *there).count()
}

fn arguments(vm: &Vm) -> Vec<Refusal> {
    let extra = vm.options.cloud_hypervisor.extra_args.iter().enumerate();
    extra
        .filter_map(|(index, arg)| {
            let flag = arg.split('=').next().unwrap_or(arg);
            let (_, decides) = OURS.iter().find(|(ours, _)| *ours == flag)?;
            let message = match *decides {
                "microvm" => "A hypervisor ends with its guest".to_owned(),
                option => format!("The definition decides that: `{option}` does"),
            };
            let option = format!("cloud-hypervisor.extraArgs[{index}]");
            Some(limit(option, arg, message))
        })
        .collect()
}
