//! Images in formats of other hypervisors, through qemu-img.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use spec::vm::ImageType;

use super::{Error, grow};
use crate::{program, spawn};

const PROGRAM: &str = "qemu-img";

/// qemu-img's name of a format.
fn format_name(kind: ImageType) -> &'static str {
    match kind {
        ImageType::Raw => "raw",
        ImageType::Qcow2 => "qcow2",
        ImageType::Vhd => "vpc",
        ImageType::Vhdx => "vhdx",
    }
}

/// Writes a raw image in another format over an existing file.
pub fn convert(image: &Path, raw: &Path, to: &Path, kind: ImageType) -> Result<(), Error> {
    let mut args = vec!["convert", "-f", "raw", "-O", format_name(kind)];
    if kind == ImageType::Vhd {
        // Without it QEMU 7.2 rounds to cylinders in a way that other readers see as smaller.
        args.extend(["-o", "force_size=on"]);
    }
    let args = args.into_iter().map(OsStr::new);
    run(image, args.chain([raw.as_os_str(), to.as_os_str()])).map(drop)
}

/// Size of the disk that an image stands for; `None` where it is not of that format.
pub fn virtual_size(image: &Path, kind: ImageType) -> Result<Option<u64>, Error> {
    if kind == ImageType::Qcow2 {
        return qcow2_size(image).map_err(Error::io(image));
    }
    let fixed = ["info", "--output=json", "-U", "-f", format_name(kind)].map(OsStr::new);
    let output = run(image, fixed.into_iter().chain([image.as_os_str()]))?;
    let info: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
    Ok(info.and_then(|info| info["virtual-size"].as_u64()))
}

/// From the header (magic, then the size big-endian at 24), for qemu-img takes 30 ms to start.
fn qcow2_size(image: &Path) -> std::io::Result<Option<u64>> {
    let mut header = [0; 32];
    let read = File::open(image)?.read_at(&mut header, 0)?;
    if read < header.len() || !header.starts_with(b"QFI\xfb") {
        return Ok(None);
    }
    let [.., a, b, c, d, e, f, g, h] = header;
    Ok(Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
}

/// Grows a qcow2 image; qemu-img itself refuses where a hypervisor uses it.
pub fn resize(image: &Path, bytes: u64) -> Result<(), Error> {
    let bytes = bytes.to_string();
    let fixed = ["resize", "-q", "-f", "qcow2"].map(OsStr::new);
    let args = fixed
        .into_iter()
        .chain([image.as_os_str(), OsStr::new(&bytes)]);
    match run(image, args) {
        Err(Error::Program { said, .. }) if said.contains("lock") => Err(Error::InUse {
            image: image.to_owned(),
        }),
        other => other.map(drop),
    }
}

fn run<'a>(image: &Path, args: impl Iterator<Item = &'a OsStr>) -> Result<Output, Error> {
    let path = program::find(PROGRAM).map_err(|source| Error::NoProgram {
        image: image.to_owned(),
        source,
    })?;
    let mut command = Command::new(path);
    spawn::with_all_signals(&mut command);
    let output = command.args(args).stdin(Stdio::null()).output();
    let output = output.map_err(Error::io(image))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(grow::failed(image, PROGRAM, &output))
}
