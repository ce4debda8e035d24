//! The setup header of x86's boot protocol (Documentation/arch/x86/boot.rst).

use super::VmlinuxError;

const BOOT_FLAG: usize = 0x1fe;
const SETUP_SECTS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// The first version that tells where the packed kernel is: of Linux 2.6.26.
const TELLS_PAYLOAD: u16 = 0x208;

/// Where the packed kernel is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Known(&'a [u8]),
    /// Somewhere in the boot code, which this is.
    After(&'a [u8]),
}

pub(super) fn is_bzimage(image: &[u8]) -> bool {
    image.get(BOOT_FLAG..BOOT_FLAG + 2) == Some(b"\x55\xaa")
        && image.get(MAGIC..MAGIC + 4) == Some(b"HdrS")
}

/// The packed kernel of a bzImage; `None` for other files.
pub(super) fn payload(image: &[u8]) -> Result<Option<Payload<'_>>, VmlinuxError> {
    if !is_bzimage(image) {
        return Ok(None);
    }
    let sectors = match image[SETUP_SECTS] {
        0 => 4,
        sectors => u64::from(sectors),
    };
    // The boot sector comes before the setup sectors; offsets count from after both.
    let code = (sectors + 1) * 512;
    let version = image.get(VERSION..VERSION + 2);
    let version = version.map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let told = (u32_at(image, PAYLOAD_OFFSET), u32_at(image, PAYLOAD_LENGTH));
    let (start, length) = match told {
        (Some(offset), Some(length)) if version >= TELLS_PAYLOAD && length > 0 => {
            (code + u64::from(offset), u64::from(length))
        }
        _ => {
            let rest = usize::try_from(code)
                .ok()
                .and_then(|code| image.get(code..));
            return Ok(Some(Payload::After(rest.unwrap_or_default())));
        }
    };
    let range = usize::try_from(start)
        .ok()
        .zip(usize::try_from(start + length).ok());
    match range.and_then(|(start, end)| image.get(start..end)) {
        Some(payload) => Ok(Some(Payload::Known(payload))),
        None => Err(VmlinuxError::CutOff {
            start,
            length,
            size: image.len() as u64,
        }),
    }
}

fn u32_at(image: &[u8], at: usize) -> Option<u32> {
    let bytes = image.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
