//! Kernel, command line, serial console and control socket.

use std::path::Path;

use spec::vm::Arch;

use super::Context;
use crate::args::{Args, Opts};
use crate::command_line;
use crate::plan::Accel;

pub(super) fn push(context: &Context, args: &mut Args) {
    let guest = context.guest;
    args.pair("-kernel", guest.kernel.to_string_lossy());
    args.pair("-initrd", guest.initrd.to_string_lossy());
    args.pair("-append", command_line(context));
    if context.vm.options.qemu.serial_console {
        // Ctrl-C is the guest's; Ctrl-a x ends QEMU.
        args.pair("-chardev", "stdio,id=console,signal=off,mux=on");
        args.pair("-serial", "chardev:console");
    }
    if let Some(socket) = &context.vm.socket {
        control(args, socket);
    }
}

fn control(args: &mut Args, socket: &Path) {
    let chardev = Opts::new("socket")
        .set("id", "qmp")
        .path("path", socket)
        .set("server", "on")
        .set("wait", "off");
    args.pair("-chardev", chardev);
    args.pair("-mon", "chardev=qmp,mode=control");
}

/// Ours first, so that the guest's and then the user's own win.
pub(super) fn command_line(context: &Context) -> String {
    let mut head: Vec<String> = Vec::new();
    if context.vm.options.qemu.serial_console {
        head.push(format!("console={}", serial(context.vm.arch)));
    }
    // Emulated machines have no clock that the kernel can measure the TSC by: on `microvm` five
    // boots of six hang without it (QEMU 7.2).
    if let (
        Arch::X86_64,
        Accel::Tcg {
            tsc_khz: Some(tsc_khz),
        },
    ) = (context.vm.arch, context.accel)
    {
        head.push(format!("tsc_early_khz={tsc_khz}"));
    }
    command_line::command_line(&context.input(), &head)
}

fn serial(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "ttyS0",
        Arch::Aarch64 => "ttyAMA0",
    }
}
