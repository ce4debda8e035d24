//! Kernels as those hypervisors boot them that unpack nothing: x86's ELF `vmlinux`, which a
//! bzImage carries packed, and arm64's `Image`, which may be packed as well.
//!
//! Reads and writes no file.

mod bzimage;
mod content;
mod lz4;
mod lzop;
mod packing;
mod zboot;

use std::io;

use content::describe;
use packing::Packing;

pub(crate) use content::{Form, HEADER};

/// No kernel is larger; what unpacks to more is refused.
const LARGEST: u64 = 1 << 30;

/// Why a kernel cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum VmlinuxError {
    #[error("It is {found}; {accepted} is accepted")]
    Unknown {
        found: String,
        accepted: &'static str,
    },
    #[error("Its header says that {length} packed bytes begin at {start}, but it has {size} bytes")]
    CutOff { start: u64, length: u64, size: u64 },
    #[error("What is packed in it is {found}; known are {}", Packing::NAMES)]
    Packing { found: String },
    #[error("The {packing} data in it cannot be unpacked")]
    Damaged {
        packing: Packing,
        #[source]
        source: io::Error,
    },
    #[error("The {packing} data in it unpack to more than {} MiB", .most >> 20)]
    TooLarge { packing: Packing, most: u64 },
    #[error("The {packing} data in it unpack to {found} bytes, not to {expected}")]
    Length {
        packing: Packing,
        found: u64,
        expected: u32,
    },
    #[error("Packed in it is {found}; {accepted} is accepted")]
    Content {
        found: String,
        accepted: &'static str,
    },
}

/// The kernel that is packed in an image.
pub(crate) fn unpack(form: Form, image: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    unpack_within(form, image, LARGEST)
}

fn unpack_within(form: Form, image: &[u8], most: u64) -> Result<Vec<u8>, VmlinuxError> {
    let kernel = match form {
        Form::Elf => match bzimage::payload(image)? {
            Some(bzimage::Payload::Known(payload)) => unpack_sized(payload, most)?,
            Some(bzimage::Payload::After(rest)) => return search(form, rest, most),
            None => unpack_file(form, image, most)?,
        },
        Form::Image => match zboot::payload(image)? {
            Some(payload) => unpack_payload(payload, most)?,
            None => unpack_file(form, image, most)?,
        },
    };
    if form.is(&kernel) {
        Ok(kernel)
    } else {
        let (found, accepted) = (describe(&kernel), form.itself());
        Err(VmlinuxError::Content { found, accepted })
    }
}

/// A kernel that is nothing but packed, such as `vmlinux.xz`.
fn unpack_file(form: Form, image: &[u8], most: u64) -> Result<Vec<u8>, VmlinuxError> {
    match Packing::of(image) {
        Some(packing) => packing.unpack(image, most),
        None => Err(VmlinuxError::Unknown {
            found: describe(image),
            accepted: form.accepted(),
        }),
    }
}

fn unpack_payload(payload: &[u8], most: u64) -> Result<Vec<u8>, VmlinuxError> {
    if let Some(packing) = Packing::of(payload) {
        return packing.unpack(payload, most);
    }
    let found = describe(payload);
    Err(VmlinuxError::Packing { found })
}

/// What the kernel's makefiles pack is followed by its unpacked length (gzip's own last field is
/// that), by which the boot code reserves memory. lzma and lz4 have nothing else to be checked by.
fn unpack_sized(payload: &[u8], most: u64) -> Result<Vec<u8>, VmlinuxError> {
    let kernel = unpack_payload(payload, most)?;
    let found = kernel.len() as u64;
    match (Packing::of(payload), payload.last_chunk()) {
        (Some(packing), Some(length)) if u64::from(u32::from_le_bytes(*length)) != found => {
            Err(VmlinuxError::Length {
                packing,
                found,
                expected: u32::from_le_bytes(*length),
            })
        }
        _ => Ok(kernel),
    }
}

/// Most places that are tried in a kernel whose header tells none.
const TRIES: usize = 64;

/// The first place whose data unpack to a kernel.
fn search(form: Form, rest: &[u8], most: u64) -> Result<Vec<u8>, VmlinuxError> {
    let places = (0..rest.len()).filter(|&at| Packing::of(&rest[at..]).is_some());
    let kernels = places
        .take(TRIES)
        .filter_map(|at| unpack_payload(&rest[at..], most).ok());
    let mut kernels = kernels.filter(|kernel| form.is(kernel));
    kernels.next().ok_or_else(|| VmlinuxError::Packing {
        found: "nothing that unpacks to a kernel".to_owned(),
    })
}

#[cfg(test)]
mod tests;
