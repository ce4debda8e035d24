//! Volumes: their size, label and serial.

use super::paths::plain;
use super::unique::Unique;
use crate::problem::Problem;
use crate::read::{Definition, View};

/// The serial number of the store disk.
const STORE: &str = "store";

pub fn check(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let (mut images, mut labels) = (Unique::new("an image"), Unique::new("a label"));
    for (index, volume) in vm.vm.items("volumes").enumerate() {
        let option = |name: &str| format!("volumes[{index}].{name}");
        if let Some(image) = volume.text("image") {
            images.add(&plain(image), &option("image"), problems);
            if image.ends_with('/') {
                let message = format!("`{image}` is a directory, not the file of an image");
                problems.push(Problem::about(option("image"), message).value(image));
            }
        }
        if let Some(label) = volume.text("label") {
            labels.add(label, &option("label"), problems);
        }
        if volume.bool("autoCreate") && !volume.is_set("size") {
            problems.push(
                Problem::about(option("size"), "Required to make the image, and not given")
                    .accepted("a size in MiB")
                    .hint("with `autoCreate = false` the image has to be there already"),
            );
        }
        problems.extend(created(volume, &option("fsType")));
        problems.extend(label(volume, &option("label")));
    }
    serials(vm, problems);
}

/// File systems that are made whole from a tree, not formatted and then written to.
fn created(volume: View<'_>, option: &str) -> Option<Problem> {
    let fs_type = volume.text("fsType")?;
    let whole = matches!(fs_type, "erofs" | "squashfs" | "iso9660");
    (whole && volume.bool("autoCreate")).then(|| {
        Problem::about(
            option,
            format!("An empty volume cannot be made with `{fs_type}`"),
        )
        .value(fs_type)
        .hint("set `autoCreate = false` for an image that is there already")
    })
}

fn label(volume: View<'_>, option: &str) -> Option<Problem> {
    let label = volume.text("label")?;
    let fs_type = volume.text("fsType")?;
    let limit = label_limit(fs_type)?;
    let message = match label.len() {
        len if len > limit => {
            format!("`{label}` has {len} bytes, and a label of {fs_type} has at most {limit}")
        }
        _ if label.contains(['/', '"']) => format!("`{label}` has a character no label may have"),
        _ => return None,
    };
    Some(Problem::about(option, message).value(label))
}

/// In bytes, from the programs that format; `None` where labels are not set.
fn label_limit(fs_type: &str) -> Option<usize> {
    Some(match fs_type {
        "ext2" | "ext3" | "ext4" | "jfs" | "nilfs2" => 16,
        "xfs" => 12,
        "btrfs" => 255,
        "vfat" | "fat" | "msdos" | "exfat" => 11,
        "f2fs" => 255,
        "bcachefs" | "ntfs" => 32,
        _ => return None,
    })
}

/// Volumes without one get `vol0`, `vol1`, … by their place.
fn serials(vm: &Definition<'_>, problems: &mut Vec<Problem>) {
    let own: Vec<Option<&str>> = vm
        .vm
        .items("volumes")
        .map(|volume| volume.text("serial"))
        .collect();
    let mut unique = Unique::new("a serial number");
    for (index, serial) in own.iter().enumerate() {
        let option = format!("volumes[{index}].serial");
        let Some(serial) = serial else {
            continue;
        };
        unique.add(serial, &option, problems);
        let implied = own
            .iter()
            .enumerate()
            .any(|(other, own)| own.is_none() && *serial == format!("vol{other}"));
        if *serial == STORE || implied {
            let message = format!("`{serial}` is the serial number of another disk of this VM");
            problems.push(
                Problem::about(option, message)
                    .value(*serial)
                    .accepted("anything but `store`, and `volN` of a volume without a serial"),
            );
        }
    }
}
