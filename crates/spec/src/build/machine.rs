//! Processor, memory, boot, devices, identity.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Built, missing, words};
use crate::names::Cid;
use crate::options::form;
use crate::read::{Definition, View};
use crate::vm::{
    Arch, Balloon, Boot, Device, Graphics, GraphicsBackend, Hotplug, Hypervisor, Kernel, MachineId,
    Memory, QemuDevice,
};

pub fn arch(definition: &Definition<'_>) -> Built<Arch> {
    let own = words::optional_word(definition.vm, "guest.arch")?;
    Ok(own.unwrap_or(definition.host.arch))
}

pub fn vcpu(vm: View<'_>) -> Built<NonZeroU32> {
    let vcpu = vm
        .unsigned("vcpu")
        .and_then(|vcpu| u32::try_from(vcpu).ok());
    vcpu.and_then(NonZeroU32::new)
        .ok_or_else(|| missing("vcpu"))
}

pub fn memory(vm: View<'_>) -> Built<Memory> {
    let max_mib = vm.unsigned("hotplugMem").unwrap_or(0);
    Ok(Memory {
        mem_mib: vm.unsigned("mem").ok_or_else(|| missing("mem"))?,
        hugepages: vm.bool("hugepageMem"),
        hotplug: (max_mib > 0).then(|| Hotplug {
            max_mib,
            plugged_mib: vm.unsigned("hotpluggedMem").unwrap_or(max_mib),
        }),
        balloon: vm.bool("balloon").then(|| Balloon {
            initial_mib: vm.unsigned("initialBalloonMem").unwrap_or(0),
            deflate_on_oom: vm.bool("deflateOnOOM"),
        }),
    })
}

pub fn boot(definition: &Definition<'_>) -> Boot {
    let vm = definition.vm;
    Boot {
        kernel: match vm.text("kernel") {
            None => Kernel::Auto,
            Some("cloud") => Kernel::Cloud,
            Some("generic") => Kernel::Generic,
            Some(path) => Kernel::Path(definition.beside(path)),
        },
        initrd: vm.text("initrdPath").map(|path| definition.beside(path)),
        kernel_params: vm.strings("kernelParams"),
    }
}

pub fn device(device: View<'_>) -> Built<Device> {
    let path = device.text("path").ok_or_else(|| missing("devices"))?;
    let qemu = QemuDevice {
        id: device.string("qemu.id"),
        bus: device.string("qemu.bus"),
        extra_args: device.string("qemu.deviceExtraArgs"),
    };
    match device.text("bus") {
        Some("usb") => Ok(Device::Usb {
            path: path.to_owned(),
            qemu,
        }),
        _ => {
            let address = crate::checks::pci_address(path).ok_or_else(|| missing("devices"))?;
            Ok(Device::Pci { address, qemu })
        }
    }
}

pub fn vsock(vm: View<'_>) -> Built<Option<Cid>> {
    let Some(cid) = vm.unsigned("vsock.cid") else {
        return Ok(None);
    };
    let cid = u32::try_from(cid)
        .ok()
        .and_then(|cid| Cid::try_from(cid).ok());
    cid.map(Some).ok_or_else(|| missing("vsock.cid"))
}

/// As MicroVM.nix derives it, so that a guest keeps its identity when it changes sides.
pub fn machine_id(definition: &Definition<'_>) -> MachineId {
    let own = definition.vm.text("machineId").and_then(form::machine_id);
    MachineId(own.unwrap_or_else(|| {
        let digest = Sha256::digest(format!("microvm.nix:{}", definition.name));
        digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }))
}

pub fn credentials(vm: View<'_>) -> BTreeMap<String, PathBuf> {
    let files = vm.texts("credentialFiles").unwrap_or_default();
    files
        .into_iter()
        .map(|(name, file)| (name.to_owned(), file.into()))
        .collect()
}

pub fn graphics(definition: &Definition<'_>) -> Built<Option<Graphics>> {
    let vm = definition.vm;
    let Some(socket) = definition.graphics_socket() else {
        return Ok(None);
    };
    let own = words::optional_word(vm, "graphics.backend")?;
    Ok(Some(Graphics {
        backend: own.unwrap_or(match words::word(vm, "hypervisor")? {
            Hypervisor::Vfkit => GraphicsBackend::Cocoa,
            _ => GraphicsBackend::Gtk,
        }),
        socket: socket.into(),
        vulkan: words::optional_word(vm, "graphics.vulkan")?,
        hostmem: vm.string("graphics.hostmem").unwrap_or_default(),
    }))
}
