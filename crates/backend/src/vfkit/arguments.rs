//! The argument vector. vfkit wants all paths absolute.

use std::path::Path;

use spec::vm::{Access, InterfaceKind, ShareProto, VfkitLogLevel};

use super::Vfkit;
use crate::args::{Args, List};
use crate::backends::Backend;
use crate::plan::Input;

/// Under which the guest mounts the directory of Rosetta.
const ROSETTA_TAG: &str = "rosetta";

pub(super) fn arguments(input: &Input) -> Vec<String> {
    let vm = input.vm;
    let mut args = Args::default();
    args.pair("--cpus", vm.vcpu.to_string());
    args.pair("--memory", vm.memory.mem_mib.to_string());
    args.pair("--bootloader", bootloader(input));
    args.pair("--device", "virtio-serial,stdio");
    args.pair("--device", "virtio-rng");
    disks(input, &mut args);
    shares(input, &mut args);
    network(input, &mut args);
    rosetta(input, &mut args);
    graphics(input, &mut args);
    if let Some(level) = vm.options.vfkit.log_level {
        args.pair("--log-level", log_level(level));
    }
    if let Some(socket) = &vm.socket {
        args.pair("--restful-uri", uri(&input.facts.state.join(socket)));
    }
    args.extend(&vm.options.vfkit.extra_args);
    args.into_vec()
}

fn bootloader(input: &Input) -> List {
    let guest = input.guest;
    List::new("linux")
        .path("kernel", &guest.kernel)
        .path("initrd", &guest.initrd)
        .set("cmdline", format!("\"{}\"", Vfkit.command_line(input)))
}

fn disks(input: &Input, args: &mut Args) {
    let mut disk = |image: &Path, id: &str, access: Access| {
        let disk = List::new("virtio-blk")
            .path("path", &input.facts.state.join(image))
            .set("deviceId", id)
            .flag_if(access == Access::ReadOnly, "readonly");
        args.pair("--device", disk);
    };
    if let Some(store) = &input.guest.store_disk {
        disk(store, "store", Access::ReadOnly);
    }
    for (index, volume) in input.vm.volumes.iter().enumerate() {
        let own = format!("vol{index}");
        let id = volume.serial.as_ref().unwrap_or(&own);
        disk(&volume.image, id, volume.access);
    }
}

fn shares(input: &Input, args: &mut Args) {
    for share in &input.vm.shares {
        if let ShareProto::Virtiofs { .. } = share.proto {
            let device = List::new("virtio-fs")
                .path("sharedDir", &input.facts.state.join(&share.source))
                .set("mountTag", &share.tag);
            args.pair("--device", device);
        }
    }
}

fn network(input: &Input, args: &mut Args) {
    let interfaces = input.vm.interfaces.iter();
    for interface in interfaces.filter(|i| i.kind == InterfaceKind::User) {
        let device = List::new("virtio-net,nat").set("mac", &interface.mac);
        args.pair("--device", device);
    }
}

fn rosetta(input: &Input, args: &mut Args) {
    if let Some(rosetta) = input.vm.options.vfkit.rosetta {
        let device = List::new("rosetta")
            .set("mountTag", ROSETTA_TAG)
            .flag_if(rosetta.install, "install")
            // Its manual calls it `ignoreIfMissing`, which its parser does not know (0.6.4).
            .flag_if(rosetta.ignore_if_missing, "ignore-if-missing");
        args.pair("--device", device);
    }
}

fn graphics(input: &Input, args: &mut Args) {
    if input.vm.graphics.is_some() {
        args.pair("--device", "virtio-gpu,width=1920,height=1080");
        args.pair("--device", "virtio-input,keyboard");
        args.pair("--device", "virtio-input,pointing");
        args.flag("--gui");
    }
}

fn log_level(level: VfkitLogLevel) -> &'static str {
    match level {
        VfkitLogLevel::Debug => "debug",
        VfkitLogLevel::Info => "info",
        VfkitLogLevel::Error => "error",
    }
}

/// `unix://` and an absolute path, in which what means something in a URI is escaped.
fn uri(path: &Path) -> String {
    let mut uri = "unix://".to_owned();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
