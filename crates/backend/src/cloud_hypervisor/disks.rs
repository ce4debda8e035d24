//! The store disk, the volumes and the disk with credentials.

use std::path::Path;

use spec::vm::{Access, ImageType};

use crate::args::{Args, List};
use crate::before::{CREDENTIALS_FD, path_of_fd};
use crate::plan::{Input, Version};

/// From here on the type of an image can be said, and is not guessed from what a guest wrote.
const HAS_IMAGE_TYPE: Version = Version(51, 0, 0);

/// More than one thread a disk is of no use to most guests.
const MOST_QUEUES: u32 = 4;

pub(super) fn push(input: &Input, args: &mut Args) {
    let vm = input.vm;
    let mut disks = Vec::new();
    if let Some(image) = &input.guest.store_disk {
        let store = disk(input, image, "store", Access::ReadOnly, ImageType::Raw);
        disks.push(store);
    }
    for (index, volume) in vm.volumes.iter().enumerate() {
        let name = format!("vol{index}");
        let serial = volume.serial.as_deref().unwrap_or(&name);
        let disk = disk(
            input,
            &volume.image,
            serial,
            volume.access,
            volume.image_type,
        );
        disks.push(disk.set_if(volume.direct, "direct", "on"));
    }
    if !vm.credential_files.is_empty() {
        let image = path_of_fd(CREDENTIALS_FD);
        let access = Access::ReadOnly;
        disks.push(disk(input, &image, "credentials", access, ImageType::Raw));
    }
    args.list("--disk", disks);
}

fn disk(input: &Input, image: &Path, serial: &str, access: Access, kind: ImageType) -> List {
    let queues = match kind {
        ImageType::Raw => input.vm.vcpu.get().min(MOST_QUEUES),
        ImageType::Qcow2 | ImageType::Vhd | ImageType::Vhdx => 1,
    };
    List::default()
        .path("path", image)
        .set_if(access == Access::ReadOnly, "readonly", "on")
        .set("serial", serial)
        .set_if(
            input.facts.version >= HAS_IMAGE_TYPE,
            "image_type",
            type_name(kind),
        )
        .set_if(queues > 1, "num_queues", queues)
}

fn type_name(kind: ImageType) -> &'static str {
    match kind {
        ImageType::Raw => "raw",
        ImageType::Qcow2 => "qcow2",
        ImageType::Vhd => "vhd",
        ImageType::Vhdx => "vhdx",
    }
}
