//! The store disk and the volumes, as virtio-blk over block nodes given as JSON, in which no
//! file name needs quoting.

use std::path::Path;

use serde_json::{Value, json};
use spec::vm::{Access, ImageType, Volume};

use super::Context;
use crate::args::Args;

pub(super) fn push(context: &Context, args: &mut Args) {
    if let Some(image) = &context.guest.store_disk {
        let node = Node {
            name: "store".to_owned(),
            image,
            driver: "raw",
            access: Access::ReadOnly,
            direct: false,
            locking: Locking::Off,
        };
        disk(context, args, &node, "store");
    }
    for (index, volume) in context.vm.volumes.iter().enumerate() {
        let node = Node::of(volume, index);
        let serial = volume.serial.as_ref().unwrap_or(&node.name);
        disk(context, args, &node, serial);
    }
}

/// A block node and where its bytes are.
struct Node<'a> {
    name: String,
    image: &'a Path,
    driver: &'static str,
    access: Access,
    direct: bool,
    locking: Locking,
}

/// Whether QEMU keeps others from writing to an image.
#[derive(Clone, Copy)]
enum Locking {
    Auto,
    /// Nobody writes to what is in the store; and a lock of another hypervisor's on the whole file,
    /// as cloud-hypervisor takes one to read it, would keep QEMU from it.
    Off,
}

impl Locking {
    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

impl<'a> Node<'a> {
    fn of(volume: &'a Volume, index: usize) -> Self {
        Self {
            name: format!("vol{index}"),
            image: &volume.image,
            driver: match volume.image_type {
                ImageType::Raw => "raw",
                ImageType::Qcow2 => "qcow2",
                ImageType::Vhd => "vpc",
                ImageType::Vhdx => "vhdx",
            },
            access: volume.access,
            direct: volume.direct,
            locking: Locking::Auto,
        }
    }

    fn blockdev(&self, aio: &str) -> Value {
        let read_only = self.access == Access::ReadOnly;
        let cache = json!({ "direct": self.direct });
        json!({
            "node-name": self.name,
            "driver": self.driver,
            "read-only": read_only,
            "discard": "unmap",
            "cache": cache,
            "file": {
                "driver": self.protocol(),
                "filename": self.image.to_string_lossy(),
                "read-only": read_only,
                "discard": "unmap",
                "cache": cache,
                "aio": aio,
                "locking": self.locking.word(),
            },
        })
    }

    /// QEMU's `file` takes regular files only, since 6.0.
    fn protocol(&self) -> &'static str {
        if self.image.starts_with("/dev") {
            "host_device"
        } else {
            "file"
        }
    }
}

fn disk(context: &Context, args: &mut Args, node: &Node, serial: &str) {
    let aio = if context.facts.io_uring {
        "io_uring"
    } else {
        "threads"
    };
    args.pair("-blockdev", node.blockdev(aio).to_string());
    let device = context.bus.device("virtio-blk");
    args.pair(
        "-device",
        device.set("drive", &node.name).set("serial", serial),
    );
}
