//! Grows an image whose size in the definition grew.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use spec::vm::{ImageType, Volume};

use super::content::{self, Content};
use super::image_lock::ImageLock;
use super::{Error, MIB, Note, last_words, qemu_img, whole_mib};
use crate::program;

/// A file system of ext that is smaller than its image by more than this was left so by a
/// growing that was interrupted; below, it is the rounding of mke2fs.
const SLACK: u64 = 8 * MIB;

/// Looks at a raw image of `length` bytes that is there.
pub fn raw(volume: &Volume, length: u64, size_mib: u64) -> Result<Vec<Note>, Error> {
    let image = &volume.image;
    let wanted = size_mib * MIB;
    let probe = File::open(image).and_then(|file| content::of(&file));
    let content = probe.map_err(Error::io(image))?;
    let mut notes = Vec::new();
    if length > wanted {
        let (image, is_mib) = (image.clone(), whole_mib(length));
        notes.push(Note::StaysLarger {
            image,
            is_mib,
            size_mib,
        });
    }
    let unfinished =
        matches!(content, Content::Ext { bytes } if bytes + SLACK < length.min(wanted));
    if length < wanted || unfinished {
        notes.push(grow_raw(image, content, length, size_mib)?);
    }
    if content == Content::Blank {
        let (image, fs_type) = (image.clone(), volume.fs_type.clone());
        notes.push(Note::Blank { image, fs_type });
    }
    Ok(notes)
}

fn grow_raw(image: &Path, content: Content, length: u64, size_mib: u64) -> Result<Note, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(image)
        .map_err(Error::io(image))?;
    let _lock = ImageLock::take(&file, image)?;
    if matches!(content, Content::Ext { .. }) {
        check_ext(image)?;
    }
    let wanted = size_mib * MIB;
    if length < wanted {
        file.set_len(wanted).map_err(Error::io(image))?;
    }
    if let Content::Ext { .. } = content {
        resize_ext(image, &file, length)?;
    }
    file.sync_all().map_err(Error::io(image))?;
    Ok(told(image, content, size_mib))
}

fn told(image: &Path, content: Content, size_mib: u64) -> Note {
    let image = image.to_owned();
    let how = match content {
        Content::Ext { .. } | Content::Blank => return Note::Grown { image, size_mib },
        Content::Xfs => "run `xfs_growfs` on its mount point",
        Content::Btrfs => "run `btrfs filesystem resize max` on its mount point",
        Content::F2fs | Content::Other => "resize what is on it",
    };
    Note::GrowInGuest {
        image,
        size_mib,
        how: how.into(),
    }
}

/// resize2fs wants a file system that was just checked. e2fsck: 0 clean, 1 and 2 mended.
fn check_ext(image: &Path) -> Result<(), Error> {
    let output = run(image, "e2fsck", &["-f", "-p"])?;
    match output.status.code() {
        Some(0..=2) => Ok(()),
        Some(4) => Err(Error::Damaged {
            image: image.to_owned(),
        }),
        _ => Err(failed(image, "e2fsck", &output)),
    }
}

fn resize_ext(image: &Path, file: &File, length: u64) -> Result<(), Error> {
    let output = run(image, "resize2fs", &[])?;
    if output.status.success() {
        return Ok(());
    }
    // Back to the old length, if the file system did not get beyond it.
    if let Ok(Content::Ext { bytes }) = content::of(file)
        && bytes <= length
    {
        let _ = file.set_len(length);
    }
    Err(failed(image, "resize2fs", &output))
}

fn run(image: &Path, name: &str, args: &[&str]) -> Result<Output, Error> {
    let path = program::find(name).map_err(|source| Error::NoProgram {
        image: image.to_owned(),
        source,
    })?;
    let mut command = Command::new(path);
    command.args(args).arg(image).stdin(Stdio::null());
    command.output().map_err(Error::io(image))
}

pub fn failed(image: &Path, program: &str, output: &Output) -> Error {
    Error::Program {
        image: image.to_owned(),
        program: program.to_owned(),
        status: output.status,
        said: last_words(output),
    }
}

/// An image whose format hides its size.
pub fn wrapped(volume: &Volume, kind: ImageType, size_mib: u64) -> Result<Vec<Note>, Error> {
    let image = &volume.image;
    let Some(bytes) = qemu_img::virtual_size(image, kind)? else {
        return Ok(Vec::new());
    };
    let wanted = size_mib * MIB;
    let image_buf = image.clone();
    if bytes > wanted {
        let is_mib = whole_mib(bytes);
        // VHD rounds up to whole cylinders, of at most 16 heads and 255 sectors.
        if kind == ImageType::Vhd && bytes - wanted < 4 * MIB {
            return Ok(Vec::new());
        }
        return Ok(vec![Note::StaysLarger {
            image: image_buf,
            is_mib,
            size_mib,
        }]);
    }
    if bytes == wanted {
        return Ok(Vec::new());
    }
    if kind != ImageType::Qcow2 {
        return Ok(vec![Note::CannotGrow {
            image: image_buf,
            size_mib,
        }]);
    }
    qemu_img::resize(image, wanted)?;
    let how = format!("resize its file system ({})", in_guest(&volume.fs_type));
    Ok(vec![Note::GrowInGuest {
        image: image_buf,
        size_mib,
        how,
    }])
}

fn in_guest(fs_type: &str) -> &'static str {
    match fs_type {
        "xfs" => "`xfs_growfs` on its mount point",
        "btrfs" => "`btrfs filesystem resize max` on its mount point",
        _ => "`resize2fs` on its device",
    }
}
