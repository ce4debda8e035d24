//! Kernels packed by the programs that Linux's makefiles use.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rstest::rstest;

use super::*;

/// How the makefiles (scripts/Makefile.lib, scripts/xz_wrap.sh) call each program.
const PROGRAMS: [(Packing, &[&str]); 8] = [
    (Packing::Gzip, &["gzip", "-n", "-f", "-9"]),
    (Packing::Bzip2, &["bzip2", "-9"]),
    (Packing::Lzma, &["lzma", "-9"]),
    (
        Packing::Xz,
        &["xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB"],
    ),
    (Packing::Lzo, &["lzop", "-9"]),
    (Packing::Lz4, &["lz4", "-l", "-9", "-", "-"]),
    (Packing::Zstd, &["zstd", "-22", "--ultra"]),
    (Packing::Zstd, &["zstd", "-3"]),
];

/// A kernel's length that no packing divides evenly, and more than one block of each.
fn length(packing: Packing) -> usize {
    match packing {
        Packing::Lz4 => (9 << 20) + 321,
        _ => (1 << 20) + 321,
    }
}

/// Begins as an ELF image for x86_64; then calls (for the branch filter), noise and repetition.
fn kernel(length: usize) -> Vec<u8> {
    let mut kernel = vec![0; HEADER];
    kernel[..6].copy_from_slice(b"\x7fELF\x02\x01");
    kernel[18] = 62;
    let mut seed = 1u32;
    while kernel.len() < length {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = seed.to_be_bytes();
        kernel.extend([0xe8, noise[0], noise[1], 0, 0]);
        kernel.extend(std::iter::repeat_n(noise[0], usize::from(noise[1] & 63)));
    }
    kernel.truncate(length);
    kernel
}

/// `None` where the program is not there.
fn pack(program: &[&str], content: &[u8]) -> Option<Vec<u8>> {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(content).unwrap();
    std::io::Seek::rewind(&mut input).unwrap();
    let child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::from(input))
        .stderr(Stdio::null())
        .output();
    let Ok(output) = child else {
        println!("skipped: `{}` is not installed", program[0]);
        return None;
    };
    assert!(output.status.success(), "{program:?}: {}", output.status);
    Some(output.stdout)
}

/// As the makefiles do it: the unpacked length follows, but for gzip, whose own last field it is.
fn with_length(packing: Packing, mut packed: Vec<u8>, length: usize) -> Vec<u8> {
    if packing != Packing::Gzip {
        packed.extend((length as u32).to_le_bytes());
    }
    packed
}

fn bzimage(version: u16, payload: &[u8]) -> Vec<u8> {
    const OFFSET: usize = 0x2b4;
    let mut image = vec![0x90; 1024 + OFFSET];
    image[0x1f1] = 1;
    image[0x1fe..0x200].copy_from_slice(b"\x55\xaa");
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&version.to_le_bytes());
    image[0x248..0x24c].copy_from_slice(&(OFFSET as u32).to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    image.extend(payload);
    image.extend([0xcc; 700]);
    image
}

/// Packing, kernel and what the makefiles would make of it.
type Packed = (Packing, Vec<u8>, Vec<u8>);

/// Packed once for all tests.
static PACKED: LazyLock<Vec<Packed>> = LazyLock::new(|| {
    let packed = PROGRAMS.iter().filter_map(|(packing, program)| {
        let kernel = kernel(length(*packing));
        let packed = pack(program, &kernel)?;
        let payload = with_length(*packing, packed, kernel.len());
        Some((*packing, kernel, payload))
    });
    packed.collect()
});

fn each(mut check: impl FnMut(Packing, &[u8], &[u8])) {
    for (packing, kernel, payload) in PACKED.iter() {
        check(*packing, payload, kernel);
    }
}

#[test]
fn every_packing_of_linux_is_unpacked() {
    each(|packing, payload, kernel| {
        let unpacked = unpack(Form::Elf, &bzimage(0x20f, payload));
        assert!(unpacked.unwrap() == kernel, "{packing}");
        // Nothing but packed, as `vmlinux.gz` is.
        assert!(unpack(Form::Elf, payload).unwrap() == kernel, "{packing}");
    });
}

#[test]
fn an_old_boot_protocol_is_searched() {
    let kernel = kernel(100_000);
    let Some(packed) = pack(&["gzip", "-9"], &kernel) else {
        return;
    };
    let mut image = bzimage(0x207, &packed);
    // What looks like a packed kernel before it, and is none.
    image[1100..1103].copy_from_slice(b"BZh");
    assert!(unpack(Form::Elf, &image).unwrap() == kernel);
    let nothing = bzimage(0x207, &[0; 100]);
    assert!(unpack(Form::Elf, &nothing).is_err());
}

#[test]
fn what_is_cut_off_or_changed_is_an_error() {
    each(|packing, payload, kernel| {
        for part in [0, 1, 5, 50, 99] {
            let end = payload.len() * part / 100;
            let result = unpack(Form::Elf, &bzimage(0x20f, &payload[..end]));
            assert!(result.is_err(), "{packing} at {part} %");
        }
        let mut longer = payload.to_vec();
        let length = longer.len();
        longer[length - 4..].copy_from_slice(&(kernel.len() as u32 + 1).to_le_bytes());
        let error = unpack(Form::Elf, &bzimage(0x20f, &longer)).unwrap_err();
        // gzip looks at that field itself.
        let expected = matches!(
            error,
            VmlinuxError::Length { .. } | VmlinuxError::Damaged { .. }
        );
        assert!(expected, "{packing}: {error}");
        let mut changed = payload.to_vec();
        changed[length / 2] ^= 0x10;
        if let Ok(other) = unpack(Form::Elf, &bzimage(0x20f, &changed)) {
            // lzma and lz4 have no checksum.
            assert!(other != kernel, "{packing}");
            assert!(matches!(packing, Packing::Lzma | Packing::Lz4), "{packing}");
        }
    });
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    each(|packing, payload, _| {
        let error = unpack_within(Form::Elf, &bzimage(0x20f, payload), 1 << 19).unwrap_err();
        assert!(
            matches!(error, VmlinuxError::TooLarge { .. }),
            "{packing}: {error}"
        );
    });
}

#[test]
fn a_header_that_lies_is_told() {
    let mut image = bzimage(0x20f, b"\x1f\x8b");
    image[0x24c..0x250].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        unpack(Form::Elf, &image).unwrap_err().to_string(),
        "Its header says that 4294967295 packed bytes begin at 1716, but it has 2418 bytes"
    );
    for end in 0..image.len() {
        assert!(unpack(Form::Elf, &image[..end]).is_err());
    }
}

fn arm64_image() -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..2].copy_from_slice(b"MZ");
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

#[test]
fn an_image_for_arm64_is_unpacked() {
    let image = arm64_image();
    assert!(Form::Image.is(&image));
    let Some(packed) = pack(&["gzip", "-n"], &image) else {
        return;
    };
    assert!(unpack(Form::Image, &packed).unwrap() == image);
    let mut zboot = vec![0; 64];
    zboot[..2].copy_from_slice(b"MZ");
    zboot[4..8].copy_from_slice(b"zimg");
    zboot[8..12].copy_from_slice(&64u32.to_le_bytes());
    zboot[12..16].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    zboot.extend(&packed);
    assert!(unpack(Form::Image, &zboot).unwrap() == image);
    let error = unpack(Form::Image, &zboot[..80]).unwrap_err();
    assert!(matches!(error, VmlinuxError::CutOff { .. }), "{error}");
}

#[rstest]
#[case(
    b"",
    "It is empty; a bzImage or an ELF image (`vmlinux`) for x86_64, packed or not, is accepted"
)]
#[case(
    b"#!/bin/sh\n",
    "It is of no known kind (it begins with the bytes `23212f62696e2f73`); a bzImage or an ELF image (`vmlinux`) for x86_64, packed or not, is accepted"
)]
#[case(
    b"MZ",
    "It is an EFI program; a bzImage or an ELF image (`vmlinux`) for x86_64, packed or not, is accepted"
)]
#[case(&arm64_image(), "It is an `Image` for arm64; a bzImage or an ELF image (`vmlinux`) for x86_64, packed or not, is accepted")]
#[case(&kernel(63)[..63], "It is an ELF image that is cut off, or not of 64 bits; a bzImage or an ELF image (`vmlinux`) for x86_64, packed or not, is accepted")]
fn another_file_is_named(#[case] image: &[u8], #[case] expected: &str) {
    let error = unpack(Form::Elf, image).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_is_packed_is_looked_at() {
    let Some(packed) = pack(&["gzip", "-n"], b"not a kernel") else {
        return;
    };
    assert_eq!(
        unpack(Form::Elf, &bzimage(0x20f, &packed))
            .unwrap_err()
            .to_string(),
        "Packed in it is of no known kind (it begins with the bytes `6e6f742061206b65`); \
         an ELF image for x86_64 is accepted"
    );
    assert_eq!(
        unpack(Form::Image, &bzimage(0x20f, &packed))
            .unwrap_err()
            .to_string(),
        "It is a bzImage, which is for x86; an `Image` for arm64, packed (also as EFI zboot) or \
         not, is accepted"
    );
    assert_eq!(
        unpack(Form::Elf, &bzimage(0x20f, b"\0\0\0\0"))
            .unwrap_err()
            .to_string(),
        "What is packed in it is of no known kind (it begins with the bytes `00000000`); known \
         are gzip, bzip2, lzma, xz, lzo, lz4 and zstd"
    );
}

/// Whatever kernels this host boots.
#[test]
fn kernels_of_this_host_are_unpacked() {
    let files = std::fs::read_dir("/boot").into_iter().flatten().flatten();
    let kernels = files.filter(|file| file.file_name().to_string_lossy().starts_with("vmlinuz"));
    let mut any = false;
    for kernel in kernels {
        any = true;
        let mut image = Vec::new();
        let read = File::open(kernel.path())
            .and_then(|mut file| std::io::Read::read_to_end(&mut file, &mut image));
        if read.is_ok() && bzimage::is_bzimage(&image) {
            let unpacked = unpack(Form::Elf, &image).unwrap();
            println!("{}: {} bytes", kernel.path().display(), unpacked.len());
        }
    }
    if !any {
        println!("skipped: there is no kernel in /boot");
    }
}
