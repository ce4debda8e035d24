//! Raw images whose beginning a hypervisor would take for another format's.
//!
//! crosvm and kvmtool look into every image. A guest can write what it likes to its own disk, and
//! a head with the path of another file in it would have crosvm hand that file to the guest at
//! the next start. The guest does not run while this looks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Error;

/// The first bytes of formats that crosvm (2025) and kvmtool (2024) know.
const HEADS: [(&str, &[u8]); 5] = [
    ("qcow", b"QFI\xfb"),
    ("composite disk", b"composite_disk\x1d"),
    ("Android sparse", &[0x3a, 0xff, 0x26, 0xed]),
    ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    // A skippable frame of zstd has any low digit in its first byte.
    ("zstd", &[0x50, 0x2a, 0x4d, 0x18]),
];

/// Refuses an image that begins as another format does.
pub fn check(image: &Path) -> Result<(), Error> {
    let mut head = [0; 16];
    let file = File::open(image).map_err(Error::io(image))?;
    let mut filled = 0;
    while filled < head.len() {
        match file
            .read_at(&mut head[filled..], filled as u64)
            .map_err(Error::io(image))?
        {
            0 => break,
            count => filled += count,
        }
    }
    match format_of(&head) {
        None => Ok(()),
        Some(format) => Err(Error::Disguised {
            image: image.to_owned(),
            format,
        }),
    }
}

fn format_of(head: &[u8; 16]) -> Option<&'static str> {
    let mut without_digit = *head;
    without_digit[0] &= 0xf0;
    HEADS
        .iter()
        .find(|(_, magic)| head.starts_with(magic) || without_digit.starts_with(magic))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(b"QFI\xfb\0\0\0\x03", Some("qcow"))]
    #[case(b"composite_disk\x1d", Some("composite disk"))]
    #[case(&[0x5f, 0x2a, 0x4d, 0x18], Some("zstd"))]
    #[case(&[0x28, 0xb5, 0x2f, 0xfd], Some("zstd"))]
    #[case(b"XFSB", None)]
    #[case(b"", None)]
    fn heads(#[case] begins: &[u8], #[case] expected: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.img");
        std::fs::write(&image, begins).unwrap();
        match (check(&image), expected) {
            (Ok(()), None) => {}
            (Err(Error::Disguised { format, .. }), Some(expected)) => assert_eq!(format, expected),
            (other, _) => panic!("{other:?}"),
        }
    }
}
