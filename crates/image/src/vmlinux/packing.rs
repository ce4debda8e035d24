//! The ways in which Linux packs itself (CONFIG_KERNEL_GZIP and its kin), within bounds.

use std::io::{self, Read};

use super::{VmlinuxError, lz4, lzop};

/// How a kernel is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Bzip2,
    /// Without a container (`lzma`, `xz --format=lzma`).
    Lzma,
    Xz,
    /// In the container of `lzop`.
    Lzo,
    /// In the legacy frames of `lz4 -l`.
    Lz4,
    Zstd,
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lzo => "lzo",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Packing {
    /// All of them, for a message.
    pub(super) const NAMES: &'static str = "gzip, bzip2, lzma, xz, lzo, lz4 and zstd";

    /// By how the data begin, as the kernel's own lib/decompress.c tells them apart.
    pub(super) fn of(data: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 7] = [
            (b"\x1f\x8b", Self::Gzip),
            (b"BZh", Self::Bzip2),
            (b"\x5d\x00\x00", Self::Lzma),
            (b"\xfd7zXZ\x00", Self::Xz),
            (lzop::MAGIC, Self::Lzo),
            (&lz4::MAGIC, Self::Lz4),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
        ];
        let known = starts
            .into_iter()
            .find(|(start, _)| data.starts_with(start));
        known.map(|(_, packing)| packing)
    }

    /// What was packed; whatever follows it is passed over.
    pub(super) fn unpack(self, data: &[u8], most: u64) -> Result<Vec<u8>, VmlinuxError> {
        match self.read(data, most) {
            Ok(content) if content.len() as u64 <= most => Ok(content),
            Ok(_) => Err(VmlinuxError::TooLarge {
                packing: self,
                most,
            }),
            Err(source) => Err(VmlinuxError::Damaged {
                packing: self,
                source,
            }),
        }
    }

    /// Stops soon after `most`.
    fn read(self, data: &[u8], most: u64) -> io::Result<Vec<u8>> {
        let reader: Box<dyn Read + '_> = match self {
            Self::Gzip => Box::new(flate2::read::GzDecoder::new(data)),
            Self::Bzip2 => Box::new(bzip2::read::BzDecoder::new(data)),
            Self::Lzma => {
                let reader = lzma_rust2::LzmaReader::new_mem_limit(data, LZMA_MEMORY_KIB, None);
                Box::new(reader?)
            }
            Self::Xz => Box::new(lzma_rust2::XzReader::new(data, false)),
            Self::Lzo => return lzop::read(data, most),
            Self::Lz4 => return lz4::read(data, most),
            Self::Zstd => {
                let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(
                    data,
                    LARGEST_WINDOW,
                );
                Box::new(decoder.map_err(io::Error::other)?)
            }
        };
        let mut content = Vec::new();
        reader.take(most + 1).read_to_end(&mut content)?;
        Ok(content)
    }
}

/// More than the largest dictionary of `lzma -9`, which is 64 MiB.
const LZMA_MEMORY_KIB: u32 = 256 << 10;

/// The kernel is packed with `zstd --ultra -22`, whose window is this.
const LARGEST_WINDOW: u64 = 128 << 20;
