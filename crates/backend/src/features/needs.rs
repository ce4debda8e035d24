//! Which features a VM asks for, each with the option that asks.

use spec::Vm;
use spec::vm::{
    Access, Device, From, GraphicsBackend, Hypervisor, ImageType, InterfaceKind, RootShare,
    SecurityModel, Share, ShareProto, Volume, Vulkan,
};

use super::Feature;
use crate::root_share;

/// An option of a definition and the feature that it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub feature: Feature,
    /// `shares[0].proto`
    pub option: String,
    pub value: String,
}

fn need(feature: Feature, option: impl Into<String>, value: impl ToString) -> Need {
    Need {
        feature,
        option: option.into(),
        value: value.to_string(),
    }
}

/// Everything that a VM asks of its hypervisor.
pub fn needs(vm: &Vm) -> Vec<Need> {
    let mut needs = processor(vm);
    needs.extend(memory(vm));
    needs.extend(store(vm));
    needs.extend(vm.volumes.iter().enumerate().flat_map(volume));
    needs.extend(vm.shares.iter().enumerate().flat_map(share));
    needs.extend(network(vm));
    needs.extend(devices(vm));
    needs.extend(graphics(vm));
    needs
}

fn processor(vm: &Vm) -> Vec<Need> {
    let cpu = vm.cpu.as_ref();
    let user = vm.user.as_ref();
    cpu.map(|cpu| need(Feature::EmulatedCpu, "cpu", cpu))
        .into_iter()
        .chain(user.map(|user| need(Feature::SwitchUser, "user", user)))
        .collect()
}

fn memory(vm: &Vm) -> Vec<Need> {
    let mut needs = Vec::new();
    if vm.memory.hugepages {
        needs.push(need(Feature::Hugepages, "hugepageMem", true));
    }
    if let Some(hotplug) = vm.memory.hotplug {
        needs.push(need(Feature::HotplugMem, "hotplugMem", hotplug.max_mib));
    }
    if let Some(balloon) = vm.memory.balloon {
        needs.push(need(Feature::Balloon, "balloon", true));
        if balloon.initial_mib > 0 {
            let value = balloon.initial_mib;
            needs.push(need(Feature::InitialBalloon, "initialBalloonMem", value));
        }
        let (feature, deflate) = match balloon.deflate_on_oom {
            true => (Feature::DeflateOnOom, true),
            false => (Feature::KeepBalloonOnOom, false),
        };
        needs.push(need(feature, "deflateOnOOM", deflate));
    }
    needs
}

fn store(vm: &Vm) -> Vec<Need> {
    match root_share::proto(vm) {
        // What the build made is not the guest's to write, also where others share it.
        Some(RootShare::NineP) => vec![
            need(Feature::NineP, "guest.rootShare", "9p"),
            need(Feature::NinePReadOnly, "guest.rootShare", "9p"),
        ],
        Some(RootShare::Virtiofs) => vec![need(Feature::Virtiofs, "storeOnDisk", false)],
        None => Vec::new(),
    }
}

fn volume((index, volume): (usize, &Volume)) -> Vec<Need> {
    let option = |name: &str| format!("volumes[{index}].{name}");
    let mut needs = Vec::new();
    if let Some(serial) = &volume.serial {
        needs.push(need(Feature::VolumeSerial, option("serial"), serial));
    }
    if volume.direct {
        needs.push(need(Feature::VolumeDirect, option("direct"), true));
    }
    let image = match volume.image_type {
        ImageType::Raw => None,
        ImageType::Qcow2 => Some((Feature::Qcow2, "qcow2")),
        ImageType::Vhd => Some((Feature::Vhd, "vhd")),
        ImageType::Vhdx => Some((Feature::Vhdx, "vhdx")),
    };
    needs.extend(image.map(|(feature, value)| need(feature, option("imageType"), value)));
    needs
}

fn share((index, share): (usize, &Share)) -> Vec<Need> {
    let option = |name: &str| format!("shares[{index}].{name}");
    let model = match &share.proto {
        ShareProto::Virtiofs { .. } => {
            return vec![need(Feature::Virtiofs, option("proto"), "virtiofs")];
        }
        ShareProto::NineP { security_model } => security_model,
    };
    let mut needs = vec![need(Feature::NineP, option("proto"), "9p")];
    if share.access == Access::ReadOnly {
        needs.push(need(Feature::NinePReadOnly, option("readOnly"), true));
    }
    let mapped = match model {
        SecurityModel::Mapped => Some("mapped"),
        SecurityModel::MappedFile => Some("mapped-file"),
        SecurityModel::Passthrough | SecurityModel::None => None,
    };
    needs.extend(mapped.map(|value| need(Feature::NinePMapped, option("securityModel"), value)));
    needs
}

fn network(vm: &Vm) -> Vec<Need> {
    let mut needs = Vec::new();
    for (index, interface) in vm.interfaces.iter().enumerate() {
        let (feature, kind) = match &interface.kind {
            InterfaceKind::User => (Feature::UserNet, "user"),
            InterfaceKind::Tap { .. } => (Feature::Tap, "tap"),
            InterfaceKind::Macvtap { .. } => (Feature::Macvtap, "macvtap"),
            InterfaceKind::Bridge { .. } => (Feature::Bridge, "bridge"),
        };
        needs.push(need(feature, format!("interfaces[{index}].type"), kind));
        if let InterfaceKind::Tap { vhost: true } = interface.kind {
            let option = format!("interfaces[{index}].tap.vhost");
            needs.push(need(Feature::TapVhost, option, true));
        }
    }
    for (index, forward) in vm.forward_ports.iter().enumerate() {
        let (feature, from) = match forward.from {
            From::Host => (Feature::ForwardFromHost, "host"),
            From::Guest => (Feature::ForwardFromGuest, "guest"),
        };
        needs.push(need(feature, format!("forwardPorts[{index}].from"), from));
    }
    needs
}

fn devices(vm: &Vm) -> Vec<Need> {
    let mut needs = Vec::new();
    for (index, device) in vm.devices.iter().enumerate() {
        let (feature, bus) = match device {
            Device::Pci { .. } => (Feature::Pci, "pci"),
            Device::Usb { .. } => (Feature::Usb, "usb"),
        };
        needs.push(need(feature, format!("devices[{index}].bus"), bus));
    }
    if let Some(cid) = vm.vsock {
        needs.push(need(Feature::Vsock, "vsock.cid", cid));
    }
    for (name, file) in &vm.credential_files {
        let option = format!("credentialFiles.{name}");
        needs.push(need(Feature::Credentials, option, file.display()));
    }
    // Options under `qemu` mean nothing to another hypervisor and are kept for a change back.
    if vm.hypervisor == Hypervisor::Qemu {
        let ports = vm.options.qemu.pcie_root_ports.iter().enumerate();
        needs.extend(ports.map(|(index, port)| {
            let option = format!("qemu.pcieRootPorts[{index}].id");
            need(Feature::PcieRootPorts, option, &port.id)
        }));
    }
    needs
}

fn graphics(vm: &Vm) -> Vec<Need> {
    let Some(graphics) = &vm.graphics else {
        return Vec::new();
    };
    let mut needs = vec![need(Feature::Graphics, "graphics.enable", true)];
    if graphics.backend == GraphicsBackend::Headless {
        needs.push(need(Feature::Headless, "graphics.backend", "headless"));
    }
    let vulkan = graphics.vulkan.map(|vulkan| match vulkan {
        Vulkan::Venus => (Feature::Venus, "venus"),
        Vulkan::DrmNativeContext => (Feature::DrmNativeContext, "drm_native_context"),
    });
    needs.extend(vulkan.map(|(feature, value)| need(feature, "graphics.vulkan", value)));
    needs
}
