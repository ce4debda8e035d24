//! Tells what a raw image holds by its first bytes; it decides about notes and growing, never
//! about formatting.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// What an image begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// ext2, ext3 or ext4, of so many bytes.
    Ext {
        bytes: u64,
    },
    Xfs,
    Btrfs,
    F2fs,
    /// Zeros, or nothing at all.
    Blank,
    Other,
}

/// Up to past the superblock of btrfs, the farthest one.
const PROBED: usize = 0x1_0000 + 0x1000;

const EXT_SUPERBLOCK: usize = 0x400;

/// Reads the beginning of an image.
pub fn of(file: &File) -> std::io::Result<Content> {
    let mut head = vec![0; PROBED];
    let mut filled = 0;
    while filled < PROBED {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(classify(&head))
}

/// Shorter images are padded with zeros by the caller.
fn classify(head: &[u8]) -> Content {
    let has = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    if has(EXT_SUPERBLOCK + 0x38, &[0x53, 0xef]) {
        ext_bytes(&head[EXT_SUPERBLOCK..]).map_or(Content::Other, |bytes| Content::Ext { bytes })
    } else if has(0, b"XFSB") {
        Content::Xfs
    } else if has(0x1_0040, b"_BHRfS_M") {
        Content::Btrfs
    } else if has(EXT_SUPERBLOCK, &[0x10, 0x20, 0xf5, 0xf2]) {
        Content::F2fs
    } else if head.iter().all(|byte| *byte == 0) {
        Content::Blank
    } else {
        Content::Other
    }
}

/// Block count times block size; see `struct ext4_super_block`.
fn ext_bytes(superblock: &[u8]) -> Option<u64> {
    const INCOMPAT_64BIT: u32 = 0x80;
    let word = |offset: usize| -> Option<u32> {
        let bytes = superblock.get(offset..offset + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let high = if word(0x60)? & INCOMPAT_64BIT == 0 {
        0
    } else {
        word(0x150)?
    };
    let blocks = u64::from(high) << 32 | u64::from(word(0x04)?);
    let block_size = 1024_u64
        .checked_shl(word(0x18)?)
        .filter(|size| *size <= 1 << 16)?;
    blocks.checked_mul(block_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut head = vec![0; PROBED];
        head[offset..offset + bytes.len()].copy_from_slice(bytes);
        head
    }

    #[rstest::rstest]
    #[case(0, b"XFSB".as_slice(), Content::Xfs)]
    #[case(0x1_0040, b"_BHRfS_M", Content::Btrfs)]
    #[case(0x400, &[0x10, 0x20, 0xf5, 0xf2], Content::F2fs)]
    #[case(0x438, &[0x53, 0xef], Content::Ext { bytes: 0 })]
    #[case(0x1fe, &[0x55, 0xaa], Content::Other)]
    #[case(0, b"", Content::Blank)]
    fn magics(#[case] offset: usize, #[case] magic: &[u8], #[case] expected: Content) {
        assert_eq!(classify(&with(offset, magic)), expected);
    }

    #[test]
    fn an_absurd_block_size_is_no_ext() {
        let mut head = with(0x438, &[0x53, 0xef]);
        head[0x418..0x41c].copy_from_slice(&200_u32.to_le_bytes());
        assert_eq!(classify(&head), Content::Other);
    }
}
