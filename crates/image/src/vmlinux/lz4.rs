//! Legacy frames of lz4 (lz4_Frame_format.md, "Legacy frame"): blocks of at most 8 MiB, each after
//! its packed length, and no mark at the end.

use std::io;

pub(super) const MAGIC: [u8; 4] = 0x184c_2102u32.to_le_bytes();

/// What a block unpacks to, but for the last one, which may be shorter.
const BLOCK: usize = 8 << 20;

/// Stops soon after `most`.
pub(super) fn read(data: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut rest = data.get(MAGIC.len()..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        // No block can be so long: the data have ended, and something else follows them.
        if length > longest_block() {
            break;
        }
        let Some((block, after)) = after.split_at_checked(length) else {
            // The unpacked length of the whole stands after the last block.
            match rest.len() {
                4 if !content.is_empty() => break,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        let start = content.len();
        content.resize(start + BLOCK, 0);
        let unpacked = lz4_flex::block::decompress_into(block, &mut content[start..])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        content.truncate(start + unpacked);
        if unpacked < BLOCK || content.len() as u64 > most {
            break;
        }
        rest = after;
    }
    Ok(content)
}

/// What 8 MiB that cannot be compressed take (LZ4_compressBound).
const fn longest_block() -> usize {
    BLOCK + BLOCK / 255 + 16
}
