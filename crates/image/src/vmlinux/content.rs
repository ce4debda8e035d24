//! What a file is, by how it begins.

use super::packing::Packing;

const ELF_MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
/// Length of ELF's header, and of arm64's.
pub(crate) const HEADER: usize = 64;
const EM_X86_64: u16 = 62;

/// In which form a hypervisor takes a kernel that is not packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// ELF for x86_64
    Elf,
    /// arm64's `Image`
    Image,
}

impl Form {
    /// What goes into the name of a store entry.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Elf => "vmlinux",
            Self::Image => "Image",
        }
    }

    /// Whether an image, of which this is at least the beginning, has this form.
    pub(crate) fn is(self, image: &[u8]) -> bool {
        match self {
            Self::Elf => is_elf64(image) && machine(image) == Some(EM_X86_64),
            Self::Image => is_arm64_image(image),
        }
    }

    pub(super) fn itself(self) -> &'static str {
        match self {
            Self::Elf => "an ELF image for x86_64",
            Self::Image => "an `Image` for arm64",
        }
    }

    pub(super) fn accepted(self) -> &'static str {
        match self {
            Self::Elf => "a bzImage or an ELF image (`vmlinux`) for x86_64, packed or not,",
            Self::Image => "an `Image` for arm64, packed (also as EFI zboot) or not,",
        }
    }
}

/// In words, for a message.
pub(super) fn describe(image: &[u8]) -> String {
    if image.starts_with(ELF_MAGIC) {
        return match (is_elf64(image), machine(image)) {
            (true, Some(EM_X86_64)) => "an ELF image for x86_64".to_owned(),
            (true, Some(183)) => "an ELF image for arm64".to_owned(),
            (true, Some(machine)) => format!("an ELF image for machine {machine}"),
            _ => "an ELF image that is cut off, or not of 64 bits".to_owned(),
        };
    }
    if super::bzimage::is_bzimage(image) {
        return "a bzImage, which is for x86".to_owned();
    }
    if is_arm64_image(image) {
        return "an `Image` for arm64".to_owned();
    }
    if let Some(packing) = Packing::of(image) {
        return format!("{packing} data");
    }
    match image {
        [] => "empty".to_owned(),
        [b'M', b'Z', ..] => "an EFI program".to_owned(),
        _ => {
            let start = &image[..image.len().min(8)];
            let start: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("of no known kind (it begins with the bytes `{start}`)")
        }
    }
}

fn is_elf64(image: &[u8]) -> bool {
    image.len() >= HEADER
        && image.starts_with(ELF_MAGIC)
        && image[4] == CLASS_64
        && image[5] == LITTLE_ENDIAN
}

/// `e_machine`
fn machine(image: &[u8]) -> Option<u16> {
    let bytes = image.get(18..20)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

/// Documentation/arch/arm64/booting.rst
fn is_arm64_image(image: &[u8]) -> bool {
    image.get(56..60) == Some(b"ARM\x64")
}
