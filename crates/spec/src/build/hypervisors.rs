//! Options of one hypervisor each.

use std::path::PathBuf;

use super::{Built, machine, missing, words};
use crate::read::{Definition, View};
use crate::vm::{
    Arch, CloudHypervisorOptions, CrosvmOptions, FirecrackerOptions, HypervisorOptions, Package,
    PcieRootPort, QemuMachine, QemuOptions, Rosetta, VfkitOptions,
};

pub fn options(definition: &Definition<'_>) -> Built<HypervisorOptions> {
    let vm = definition.vm;
    let package = |option: &str| vm.text(option).map(|path| definition.beside(path));
    // With cloud-hypervisor, crosvm is started for the graphics alone.
    let crosvm = match vm.text("hypervisor") {
        Some("cloud-hypervisor") => package("graphics.crosvmPackage"),
        _ => None,
    };
    Ok(HypervisorOptions {
        qemu: qemu(definition, package("qemu.package"))?,
        cloud_hypervisor: CloudHypervisorOptions {
            platform_oem_strings: vm.strings("cloud-hypervisor.platformOEMStrings"),
            extra_args: vm.strings("cloud-hypervisor.extraArgs"),
            package: package("cloud-hypervisor.package"),
        },
        crosvm: CrosvmOptions {
            pivot_root: vm.path("crosvm.pivotRoot"),
            extra_args: vm.strings("crosvm.extraArgs"),
            package: crosvm.or_else(|| package("crosvm.package")),
        },
        firecracker: FirecrackerOptions {
            cpu: vm.json("firecracker.cpu"),
            drive_io_engine: words::word(vm, "firecracker.driveIoEngine")?,
            extra_args: vm.strings("firecracker.extraArgs"),
            extra_config: vm.json("firecracker.extraConfig").unwrap_or_default(),
            package: package("firecracker.package"),
        },
        kvmtool: Package {
            package: package("kvmtool.package"),
        },
        stratovirt: Package {
            package: package("stratovirt.package"),
        },
        alioth: Package {
            package: package("alioth.package"),
        },
        vfkit: VfkitOptions {
            log_level: words::optional_word(vm, "vfkit.logLevel")?,
            extra_args: vm.strings("vfkit.extraArgs"),
            rosetta: vm.bool("vfkit.rosetta.enable").then(|| Rosetta {
                install: vm.bool("vfkit.rosetta.install"),
                ignore_if_missing: vm.bool("vfkit.rosetta.ignoreIfMissing"),
            }),
            package: package("vfkit.package"),
        },
    })
}

fn qemu(definition: &Definition<'_>, package: Option<PathBuf>) -> Built<QemuOptions> {
    let vm = definition.vm;
    let opts = vm.texts("qemu.machineOpts").map(|opts| {
        opts.into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    });
    Ok(QemuOptions {
        machine: match (vm.text("qemu.machine"), machine::arch(definition)?) {
            (Some("microvm"), _) | (None, Arch::X86_64) => QemuMachine::Microvm,
            (Some("virt"), _) | (None, Arch::Aarch64) => QemuMachine::Virt,
            (Some("q35"), _) => QemuMachine::Q35,
            (Some(other), _) => QemuMachine::Other(other.to_owned()),
        },
        machine_opts: opts,
        extra_args: vm.strings("qemu.extraArgs"),
        serial_console: vm.bool("qemu.serialConsole"),
        pcie_root_ports: super::each(vm.items("qemu.pcieRootPorts").map(root_port))?,
        package,
    })
}

fn root_port(port: View<'_>) -> Built<PcieRootPort> {
    Ok(PcieRootPort {
        id: port
            .string("id")
            .ok_or_else(|| missing("qemu.pcieRootPorts"))?,
        bus: port.string("bus"),
        chassis: port
            .unsigned("chassis")
            .and_then(|chassis| chassis.try_into().ok()),
        slot: port.string("slot"),
        addr: port.string("addr"),
    })
}
