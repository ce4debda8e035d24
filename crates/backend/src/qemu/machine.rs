//! Machine, accelerator, processor and identity.

use spec::vm::{Arch, QemuMachine};

use super::Context;
use super::transport::Bus;
use crate::args::{Args, Opts, switch};
use crate::plan::Accel;

pub(super) fn push(context: &Context, args: &mut Args) {
    let vm = context.vm;
    args.pair("-name", Opts::new("").set("guest", &vm.name));
    args.flag("-nodefaults");
    args.flag("-no-user-config");
    // A guest that stops by rebooting (`reboot=t`) ends QEMU with it.
    args.flag("-no-reboot");
    args.pair("-machine", machine(context));
    if !user_decides(context, "accel") {
        args.pair("-accel", accel(context.accel));
    }
    if context.bus == Bus::Mmio {
        // Else virtio 0.9 is spoken, which vhost-user daemons refuse: the guest hangs at mount.
        args.pair("-global", "virtio-mmio.force-legacy=off");
    }
    args.pair("-cpu", cpu(context));
    args.pair("-smp", vm.vcpu.to_string());
    args.pair("-uuid", vm.machine_id.as_uuid());
    if vm.options.qemu.machine == QemuMachine::Microvm {
        // Lets Ctrl-Alt-Del reach guests that do not watch the power button.
        args.pair("-device", "i8042");
    }
}

fn machine(context: &Context) -> Opts {
    let options = &context.vm.options.qemu;
    let name = match &options.machine {
        QemuMachine::Microvm => "microvm",
        QemuMachine::Q35 => "q35",
        QemuMachine::Virt => "virt",
        QemuMachine::Other(name) => name,
    };
    let machine = Opts::new(name);
    let machine = match &options.machine_opts {
        Some(user) => user
            .iter()
            .fold(machine, |machine, (key, value)| machine.set(key, value)),
        None => defaults(context, machine),
    };
    let backend = context.has_memory_backend() && !user_decides(context, "memory-backend");
    machine.set_if(backend, "memory-backend", "mem")
}

fn defaults(context: &Context, machine: Opts) -> Opts {
    match &context.vm.options.qemu.machine {
        // ACPI, because kernels of distributions find virtio-mmio devices in no other way;
        // without PIT and PIC the kernel has nothing to calibrate by, and needs none. By default
        // QEMU leaves the clock out with KVM alone, and Linux (6.1) polls for an absent one for
        // 20,000 times 100 µs.
        QemuMachine::Microvm => machine
            .set("acpi", "on")
            .set("pcie", switch(context.bus == Bus::Pci))
            .set("pic", "off")
            .set("pit", "off")
            .set("rtc", "on"),
        // What no virtio guest uses only costs time at boot.
        QemuMachine::Q35 => machine
            .set("sata", "off")
            .set("smbus", "off")
            .set("vmport", "off"),
        QemuMachine::Virt => machine.set("gic-version", "max"),
        QemuMachine::Other(_) => machine,
    }
}

fn user_decides(context: &Context, key: &str) -> bool {
    let options = context.vm.options.qemu.machine_opts.as_ref();
    options.is_some_and(|options| options.contains_key(key))
}

fn accel(accel: Accel) -> &'static str {
    match accel {
        Accel::Kvm => "kvm",
        Accel::Tcg { .. } => "tcg",
    }
}

fn cpu(context: &Context) -> String {
    let default = match (context.vm.arch, context.accel) {
        // QEMU crashes on machine `microvm` where the host's processor has SGX.
        (Arch::X86_64, Accel::Kvm) => "host,-sgx",
        (Arch::Aarch64, Accel::Kvm) => "host",
        (Arch::X86_64, Accel::Tcg { .. }) => "max",
        // The architected pointer authentication costs half of the speed of emulation.
        (Arch::Aarch64, Accel::Tcg { .. }) => "max,pauth-impdef=on",
    };
    context.vm.cpu.clone().unwrap_or_else(|| default.to_owned())
}
