//! The container of lzop: blocks of LZO1X, each with its lengths and a checksum (lzop 1.04,
//! src/lzop.c; the kernel reads it in lib/decompress_unlzo.c).

use std::io;

pub(super) const MAGIC: &[u8] = b"\x89LZO\x00\r\n\x1a\n";

/// Bits of the header's flags.
const ADLER32: u32 = 0x1;
const ADLER32_PACKED: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC32: u32 = 0x100;
const CRC32_PACKED: u32 = 0x200;
const FILTER: u32 = 0x800;

/// From which version on the header has the version needed, the level and the times' upper half.
const LONG_HEADER: u16 = 0x0940;

/// Longest block: lzop's `MAX_BLOCK_SIZE`.
const BLOCK: usize = 64 << 20;

/// Stops soon after `most`.
pub(super) fn read(data: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut rest = Rest(data);
    let flags = header(&mut rest)?;
    let mut content = Vec::new();
    loop {
        let length = rest.u32()? as usize;
        if length == 0 || content.len() as u64 > most {
            return Ok(content);
        }
        let packed = rest.u32()? as usize;
        if length > BLOCK || packed > length {
            return Err(invalid("a block has an impossible length"));
        }
        let checksum = flags & ADLER32 != 0;
        let checksum = checksum.then(|| rest.u32()).transpose()?;
        // A block that cannot be compressed is stored, and has no checksums of its packed form.
        let of_packed = if packed < length {
            ADLER32_PACKED | CRC32_PACKED
        } else {
            0
        };
        for _ in 0..(flags & (CRC32 | of_packed)).count_ones() {
            rest.u32()?;
        }
        let block = rest.take(packed)?;
        let start = content.len();
        if packed == length {
            content.extend_from_slice(block);
        } else {
            content.resize(start + length, 0);
            let unpacked = lzo::decompress_into(block, &mut content[start..])
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if unpacked != length {
                return Err(invalid("a block is shorter than it says"));
            }
        }
        if checksum.is_some_and(|checksum| checksum != adler32(&content[start..])) {
            return Err(invalid("a block's checksum is wrong"));
        }
    }
}

/// Reads past the header; gives its flags.
fn header(rest: &mut Rest<'_>) -> io::Result<u32> {
    rest.take(MAGIC.len())?;
    let version = rest.u16()?;
    let is_long = version >= LONG_HEADER;
    rest.take(2)?;
    if is_long {
        rest.take(2)?;
    }
    let method = rest.u8()?;
    if !(1..=3).contains(&method) {
        return Err(invalid("its method is not LZO1X"));
    }
    if is_long {
        rest.take(1)?;
    }
    let flags = rest.u32()?;
    if flags & FILTER != 0 {
        return Err(invalid("it was filtered"));
    }
    // Mode and time.
    rest.take(if is_long { 12 } else { 8 })?;
    let name = rest.u8()?;
    // The header's checksum follows.
    rest.take(usize::from(name) + 4)?;
    if flags & EXTRA_FIELD != 0 {
        let length = rest.u32()? as usize;
        rest.take(length)?;
        rest.take(4)?;
    }
    Ok(flags)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// RFC 1950, section 8.2.
fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    // So many bytes cannot overflow the sums.
    let (mut a, mut b) = (1, 0);
    for chunk in data.chunks(5552) {
        for &byte in chunk {
            a += u32::from(byte);
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    b << 16 | a
}

/// Numbers are big endian.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> io::Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }
}
