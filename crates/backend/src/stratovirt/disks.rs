//! The store disk, the volumes and the disk with credentials, as virtio-blk.

use std::path::Path;

use spec::credentials::DISK_SERIAL;
use spec::vm::{Access, ImageType};

use super::slots::Slots;
use crate::args::{Args, List, switch};
use crate::before::{CREDENTIALS_FD, path_of_fd};
use crate::plan::Input;

pub(super) fn push(input: &Input, args: &mut Args, slots: &mut Slots) {
    let mut disk = |disk: &Disk| disk.push(args, slots, input.facts.io_uring);
    if let Some(image) = &input.guest.store_disk {
        disk(&Disk::read_only("store", image));
    }
    for (index, volume) in input.vm.volumes.iter().enumerate() {
        let id = format!("vol{index}");
        disk(&Disk {
            id: &id,
            serial: volume.serial.as_deref().unwrap_or(&id),
            image: &volume.image,
            format: volume.image_type,
            access: volume.access,
            direct: volume.direct,
        });
    }
    if !input.vm.credential_files.is_empty() {
        disk(&Disk::read_only(DISK_SERIAL, &path_of_fd(CREDENTIALS_FD)));
    }
}

struct Disk<'a> {
    id: &'a str,
    serial: &'a str,
    image: &'a Path,
    format: ImageType,
    access: Access,
    direct: bool,
}

impl<'a> Disk<'a> {
    fn read_only(id: &'a str, image: &'a Path) -> Self {
        Self {
            id,
            serial: id,
            image,
            format: ImageType::Raw,
            access: Access::ReadOnly,
            direct: false,
        }
    }

    fn push(&self, args: &mut Args, slots: &mut Slots, io_uring: bool) {
        let aio = match (io_uring, self.direct) {
            (true, _) => "io_uring",
            (false, true) => "native",
            (false, false) => "threads",
        };
        let drive = List::new("")
            .set("id", format!("{}-drive", self.id))
            .path("file", self.image)
            .set_if(self.format == ImageType::Qcow2, "format", "qcow2")
            .set_if(self.access == Access::ReadOnly, "readonly", "on")
            // Past the host's cache is StratoVirt's default.
            .set("direct", switch(self.direct))
            .set("aio", aio);
        args.pair("-drive", drive);
        slots.device(args, "virtio-blk-pci", self.id, |device| {
            device
                .set("drive", format!("{}-drive", self.id))
                .set("serial", self.serial)
        });
    }
}
