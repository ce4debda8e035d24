//! The configuration file.

use std::path::Path;

use serde_json::{Map, Value, json};
use spec::Vm;
use spec::vm::{Access, DriveIoEngine, InterfaceKind};

use super::{is_async, merge, vsock};
use crate::before::{CREDENTIALS_FD, path_of_fd};
use crate::plan::{Action, Input};

/// The descriptor under which the CPU template is passed: only from 1.13 on may it be within the
/// configuration file.
const CPU_TEMPLATE_FD: i32 = 96;

/// How often the guest tells of its memory; without it nobody learns what its balloon holds, which
/// Firecracker knows at any time. A guest that has no driver yet is complained of each time.
const STATISTICS_SECONDS: u16 = 60;

/// The file's text: what the definition says, and the user's own configuration over it.
pub(super) fn text(input: &Input, command_line: String) -> String {
    let mut config = of(input, command_line);
    merge::into(&mut config, &input.vm.options.firecracker.extra_config);
    format!("{:#}", Value::Object(config))
}

/// The CPU template as a file.
pub(super) fn cpu_template(vm: &Vm) -> Option<Action> {
    let template = vm.options.firecracker.cpu.clone()?;
    Some(Action::PassFile {
        name: "cpu-template.json".to_owned(),
        content: format!("{:#}", Value::Object(template)),
        fd: CPU_TEMPLATE_FD,
    })
}

/// `Async` where the definition wants it and the host has io_uring.
pub(super) fn io_engine(input: &Input) -> DriveIoEngine {
    let wanted = input.vm.options.firecracker.drive_io_engine;
    if is_async(wanted) && !input.facts.io_uring {
        DriveIoEngine::Sync
    } else {
        wanted
    }
}

fn of(input: &Input, command_line: String) -> Map<String, Value> {
    let (vm, guest) = (input.vm, input.guest);
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set(
        "boot-source",
        json!({
            "kernel_image_path": path(&guest.kernel),
            "initrd_path": path(&guest.initrd),
            "boot_args": command_line,
        }),
    );
    set("machine-config", machine(vm));
    set("drives", drives(input).into());
    set("network-interfaces", interfaces(vm).into());
    set("entropy", json!({}));
    if let Some(device) = vsock::device(vm) {
        let (cid, socket) = (device.cid, path(&device.socket));
        set("vsock", json!({ "guest_cid": cid, "uds_path": socket }));
    }
    if let Some(balloon) = vm.memory.balloon {
        set(
            "balloon",
            json!({
                "amount_mib": balloon.initial_mib,
                "deflate_on_oom": balloon.deflate_on_oom,
                "stats_polling_interval_s": STATISTICS_SECONDS,
            }),
        );
    }
    if let Some(hotplug) = vm.memory.hotplug {
        set(
            "memory-hotplug",
            json!({ "total_size_mib": hotplug.max_mib }),
        );
    }
    if vm.options.firecracker.cpu.is_some() {
        set("cpu-config", path(&path_of_fd(CPU_TEMPLATE_FD)));
    }
    config
}

fn machine(vm: &Vm) -> Value {
    let mut machine = json!({ "vcpu_count": vm.vcpu, "mem_size_mib": vm.memory.mem_mib });
    if vm.memory.hugepages {
        machine["huge_pages"] = "2M".into();
    }
    machine
}

fn drives(input: &Input) -> Vec<Value> {
    let vm = input.vm;
    let engine = io_engine(input);
    let store = input.guest.store_disk.as_deref();
    let store = store.map(|image| drive("store", image, Access::ReadOnly, engine));
    let volumes =
        vm.volumes.iter().enumerate().map(|(index, volume)| {
            drive(&format!("vol{index}"), &volume.image, volume.access, engine)
        });
    let credentials = (!vm.credential_files.is_empty()).then(|| {
        let image = path_of_fd(CREDENTIALS_FD);
        drive("credentials", &image, Access::ReadOnly, engine)
    });
    store
        .into_iter()
        .chain(volumes)
        .chain(credentials)
        .collect()
}

fn drive(id: &str, image: &Path, access: Access, engine: DriveIoEngine) -> Value {
    json!({
        "drive_id": id,
        "path_on_host": path(image),
        // A root device would put a root= of its own on the kernel command line.
        "is_root_device": false,
        "is_read_only": access == Access::ReadOnly,
        // Else the guest's flushes are ignored.
        "cache_type": "Writeback",
        "io_engine": engine,
    })
}

fn interfaces(vm: &Vm) -> Vec<Value> {
    let taps = vm.interfaces.iter();
    taps.filter(|interface| matches!(interface.kind, InterfaceKind::Tap { .. }))
        .map(|interface| {
            json!({
                "iface_id": interface.id,
                "host_dev_name": interface.id,
                "guest_mac": interface.mac,
            })
        })
        .collect()
}

fn path(path: &Path) -> Value {
    path.to_string_lossy().into()
}
