//! Entropy, vsock, credentials, PCIe root ports and passed-through devices.

use spec::vm::{Device, PcieRootPort, QemuDevice};

use super::Context;
use crate::args::{Args, Opts};

/// Prefix under which systemd looks for credentials in QEMU's firmware configuration.
pub(super) const CREDENTIAL_PREFIX: &str = "opt/io.systemd.credentials/";

/// Devices that others may sit behind, so that they come first.
pub(super) fn push_buses(context: &Context, args: &mut Args) {
    for port in &context.vm.options.qemu.pcie_root_ports {
        args.pair("-device", root_port(port));
    }
    let has_usb = |device: &Device| matches!(device, Device::Usb { .. });
    if context.vm.graphics.is_some() || context.vm.devices.iter().any(has_usb) {
        args.pair("-device", Opts::new("qemu-xhci").set("id", "usb"));
    }
}

pub(super) fn push(context: &Context, args: &mut Args) {
    let vm = context.vm;
    args.pair("-device", context.bus.device("virtio-rng"));
    if let Some(cid) = vm.vsock {
        let device = context.bus.device("vhost-vsock");
        args.pair("-device", device.set("guest-cid", cid));
    }
    // The path is in the arguments, which every user of the host can read; the secret is not.
    for (name, file) in &vm.credential_files {
        let item = Opts::new("").set("name", format!("{CREDENTIAL_PREFIX}{name}"));
        args.pair("-fw_cfg", item.path("file", file));
    }
    for device in &vm.devices {
        args.pair("-device", passthrough(device));
    }
}

fn root_port(port: &PcieRootPort) -> Opts {
    Opts::new("pcie-root-port")
        .set("id", &port.id)
        .set_some("bus", port.bus.as_ref())
        .set_some("chassis", port.chassis)
        .set_some("slot", port.slot.as_ref())
        .set_some("addr", port.addr.as_ref())
}

fn passthrough(device: &Device) -> Opts {
    match device {
        Device::Pci { address, qemu } => {
            let opts = Opts::new("vfio-pci").set("host", address);
            placed(opts.set("multifunction", "on"), qemu)
        }
        Device::Usb { path, qemu } => placed(Opts::new("usb-host").raw(Some(path)), qemu),
    }
}

fn placed(device: Opts, qemu: &QemuDevice) -> Opts {
    device
        .set_some("id", qemu.id.as_ref())
        .set_some("bus", qemu.bus.as_ref())
        .raw(qemu.extra_args.as_deref())
}
