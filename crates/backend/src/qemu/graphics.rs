//! Display, graphics adapter and input.

use spec::vm::{Graphics, GraphicsBackend, Vulkan};

use super::Context;
use super::transport::Bus;
use crate::args::{Args, Opts};

pub(super) fn push(context: &Context, args: &mut Args) {
    let Some(graphics) = &context.vm.graphics else {
        args.pair("-display", "none");
        return;
    };
    args.pair("-display", display(graphics));
    args.pair("-device", adapter(graphics));
    args.pair("-device", "usb-tablet,bus=usb.0");
    args.pair("-device", "usb-kbd,bus=usb.0");
}

/// Whether the host's OpenGL draws for the guest.
fn has_gl(graphics: &Graphics) -> bool {
    match graphics.backend {
        GraphicsBackend::Gtk => true,
        GraphicsBackend::Cocoa => false,
        GraphicsBackend::Headless => graphics.vulkan.is_some(),
    }
}

fn display(graphics: &Graphics) -> &'static str {
    match graphics.backend {
        GraphicsBackend::Gtk => "gtk,gl=on",
        GraphicsBackend::Cocoa => "cocoa",
        GraphicsBackend::Headless if has_gl(graphics) => "egl-headless",
        // The adapter is there for what `qemu.extraArgs` adds, VNC for example.
        GraphicsBackend::Headless => "none",
    }
}

fn adapter(graphics: &Graphics) -> Opts {
    let name = if has_gl(graphics) {
        "virtio-gpu-gl"
    } else {
        "virtio-gpu"
    };
    let adapter = Bus::Pci.device(name);
    let Some(vulkan) = graphics.vulkan else {
        return adapter;
    };
    let protocol = match vulkan {
        Vulkan::Venus => "venus",
        Vulkan::DrmNativeContext => "drm_native_context",
    };
    adapter
        .set("hostmem", &graphics.hostmem)
        .set("blob", "on")
        .set(protocol, "on")
}
