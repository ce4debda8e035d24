//! EFI zboot: a small EFI program with a packed kernel in it, as newer distributions ship for arm64
//! (Linux, drivers/firmware/efi/libstub/zboot-header.S, since 6.1).

use super::VmlinuxError;

/// The packed kernel of a zboot image; `None` for other files.
pub(super) fn payload(image: &[u8]) -> Result<Option<&[u8]>, VmlinuxError> {
    let is_zboot = image.starts_with(b"MZ") && image.get(4..8) == Some(b"zimg");
    let (true, Some(start), Some(length)) = (is_zboot, u32_at(image, 8), u32_at(image, 12)) else {
        return Ok(None);
    };
    let end = (start as usize).checked_add(length as usize);
    match end.and_then(|end| image.get(start as usize..end)) {
        Some(payload) => Ok(Some(payload)),
        None => Err(VmlinuxError::CutOff {
            start: start.into(),
            length: length.into(),
            size: image.len() as u64,
        }),
    }
}

fn u32_at(image: &[u8], at: usize) -> Option<u32> {
    let bytes = image.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
