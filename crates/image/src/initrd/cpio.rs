//! The `newc` format of cpio archives, as the kernel's initramfs unpacks it
//! (Documentation/driver-api/early-userspace/buffer-format.rst). Times and owners are zero, so
//! that equal content gives equal bytes.

use std::io::{self, Write};

const S_IFCHR: u32 = 0o020_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

/// An archive that is being written.
pub struct Archive<'a> {
    out: &'a mut dyn Write,
    inode: u32,
}

struct Header<'a> {
    name: &'a str,
    mode: u32,
    links: u32,
    size: usize,
    device: (u32, u32),
}

impl<'a> Archive<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, inode: 0 }
    }

    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.header(&Header {
            name,
            mode: S_IFDIR | 0o755,
            links: 2,
            size: 0,
            device: (0, 0),
        })
    }

    pub fn character_device(&mut self, name: &str, major: u32, minor: u32) -> io::Result<()> {
        let device = (major, minor);
        self.header(&Header {
            name,
            mode: S_IFCHR | 0o600,
            links: 1,
            size: 0,
            device,
        })
    }

    /// `mode` has the permission bits.
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let size = content.len();
        self.header(&Header {
            name,
            mode: S_IFREG | mode,
            links: 1,
            size,
            device: (0, 0),
        })?;
        self.out.write_all(content)?;
        self.pad(size)
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.inode = 0;
        self.header(&Header {
            name: "TRAILER!!!",
            mode: 0,
            links: 1,
            size: 0,
            device: (0, 0),
        })
    }

    fn header(&mut self, header: &Header<'_>) -> io::Result<()> {
        let name_size = header.name.len() + 1;
        self.inode += 1;
        let size =
            u32::try_from(header.size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let name_length = u32::try_from(name_size)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
        write!(self.out, "070701")?;
        // inode, mode, uid, gid, links, mtime, size, device, special device, length of name, check
        let (major, minor) = header.device;
        for field in [
            self.inode,
            header.mode,
            0,
            0,
            header.links,
            0,
            size,
            0,
            0,
            major,
            minor,
            name_length,
            0,
        ] {
            write!(self.out, "{field:08X}")?;
        }
        self.out.write_all(header.name.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(110 + name_size)
    }

    /// Headers with names, and contents, end at a multiple of 4 bytes.
    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..(4 - written % 4) % 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_cpio_reads() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.directory("dev").unwrap();
        archive.file("init", 0o755, b"12345").unwrap();
        archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..22], b"07070100000001000041ED");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("init\0"), "{text}");
        assert!(text.contains("12345\0\0\x0007"), "{text}");
        assert!(text.ends_with("TRAILER!!!\0\0\0\0"), "{text}");
    }
}
