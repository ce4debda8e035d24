//! A VM for each option that Firecracker or Cloud Hypervisor alone reads.

use serde_json::{Value, json};
use spec::Vm;
use spec::vm::{DriveIoEngine, Hypervisor, InterfaceKind};

use crate::samples::{Sample, interface, only, volume};

pub fn own() -> Vec<Sample> {
    let mut samples = firecracker();
    samples.extend(cloud_hypervisor());
    samples
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

fn firecracker() -> Vec<Sample> {
    let with = |name, set: &dyn Fn(&mut Vm)| only(Hypervisor::Firecracker, name, &[], set);
    vec![
        with("cpu-template", &|vm| {
            let template = json!({ "cpuid_modifiers": [], "msr_modifiers": [] });
            vm.options.firecracker.cpu = Some(object(template));
        }),
        with("sync", &|vm| {
            vm.volumes.push(volume("var.img"));
            vm.options.firecracker.drive_io_engine = DriveIoEngine::Sync;
        }),
        with("extra-config", &|vm| {
            vm.volumes.push(volume("var.img"));
            vm.options.firecracker.extra_config = object(json!({
                "machine-config": { "track_dirty_pages": true, "mem_size_mib": 768 },
                "drives": [
                    { "drive_id": "vol0", "io_engine": "Sync" },
                    { "drive_id": "more", "path_on_host": "more.img", "is_root_device": false },
                ],
                "logger": { "log_path": "fc.log", "level": "Debug" },
                "metrics": { "metrics_path": "fc.metrics" },
            }));
        }),
        with("extra-args", &|vm| {
            vm.options.firecracker.extra_args =
                words(["--level", "Debug", "--boot-timer", "--enable-pci"]);
        }),
        with("odd-arguments", &|vm| {
            vm.options.firecracker.extra_args = words(["--no-api"]);
            let config = json!({ "machine_config": { "smt": true } });
            vm.options.firecracker.extra_config = object(config);
        }),
        with("too-many-vcpus", &|vm| vm.vcpu = 33.try_into().unwrap()),
        with("too-many-devices", &|vm| {
            vm.volumes
                .extend((0..30).map(|n| volume(&format!("{n}.img"))));
        }),
    ]
}

fn cloud_hypervisor() -> Vec<Sample> {
    let with = |name, set: &dyn Fn(&mut Vm)| only(Hypervisor::CloudHypervisor, name, &[], set);
    vec![
        with("oem-strings", &|vm| {
            vm.options.cloud_hypervisor.platform_oem_strings =
                words(["io.example:a=1", "io.systemd.credential:x=y z"]);
        }),
        with("odd-oem-strings", &|vm| {
            vm.options.cloud_hypervisor.platform_oem_strings = words(["a,b", "[c]", ""]);
        }),
        with("extra-args", &|vm| {
            vm.volumes.push(volume("var.img"));
            vm.options.cloud_hypervisor.extra_args = words([
                "--disk",
                "path=more.img",
                "--memory=mergeable=on",
                "--watchdog",
                "--tpm",
                "socket=tpm.sock",
            ]);
        }),
        with("odd-arguments", &|vm| {
            vm.options.cloud_hypervisor.extra_args = words(["--api-socket=x", "--no-shutdown"]);
        }),
        with("odd-path", &|vm| vm.volumes.push(volume("a,b.img"))),
        with("pci-vsock", &|vm| {
            vm.vsock = Some(42.try_into().unwrap());
            vm.interfaces
                .push(interface("vm-web", InterfaceKind::Tap { vhost: false }));
        }),
        with("too-many-devices", &|vm| {
            vm.volumes
                .extend((0..30).map(|n| volume(&format!("{n}.img"))));
        }),
    ]
}
