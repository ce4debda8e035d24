//! Disk images of the user's: made where they are absent, grown where their size grew.
//!
//! An image appears under its name only when it is complete. One that is there is never
//! formatted, never replaced and never shrunk.

mod content;
mod create;
pub mod disguise;
mod format;
mod grow;
mod image_lock;
mod qemu_img;

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use spec::vm::{Access, Create, ImageType, Volume};

use crate::kind::Kind;
use crate::program::NotInstalled;

const MIB: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The volume `{}` is not there, and {why}", .image.display())]
    Absent { image: PathBuf, why: &'static str },
    #[error("The directory `{}` of the volume `{}` is not there; make it with `mkdir`", .directory.display(), .image.display())]
    NoDirectory { image: PathBuf, directory: PathBuf },
    #[error("The volume `{}` is a link to `{}`, which is not there", .image.display(), .target.display())]
    Dangling { image: PathBuf, target: PathBuf },
    #[error("The volume `{}` is a link that another user made; only your own or root's are followed", .image.display())]
    ForeignLink { image: PathBuf },
    #[error("The volume `{}` is neither a file nor a block device", .image.display())]
    NotAFile { image: PathBuf },
    #[error("The volume `{}` is in use by another hypervisor", .image.display())]
    InUse { image: PathBuf },
    #[error("The volume `{}` is being made by another process", .image.display())]
    BeingMade { image: PathBuf },
    #[error("The volume `{}` cannot be made with the file system `{fs_type}`", .image.display())]
    NoMkfs {
        image: PathBuf,
        fs_type: String,
        source: NotInstalled,
    },
    #[error("The volume `{}` needs a program that is missing", .image.display())]
    NoProgram {
        image: PathBuf,
        source: NotInstalled,
    },
    #[error("No space is left for the volume `{}` of {size_mib} MiB", .image.display())]
    NoSpace { image: PathBuf, size_mib: u64 },
    #[error("`{program}` failed on the volume `{}` ({status}): {said}", .image.display())]
    Program {
        image: PathBuf,
        program: String,
        status: ExitStatus,
        said: String,
    },
    #[error("The file system on the volume `{}` has errors that are not mended unasked; run `e2fsck -f` on it", .image.display())]
    Damaged { image: PathBuf },
    #[error("The volume `{}` is raw and begins as a {format} image does, which its hypervisor would take it for; a guest may have written that", .image.display())]
    Disguised {
        image: PathBuf,
        format: &'static str,
    },
    #[error("The volume `{}` cannot be used", .image.display())]
    Io {
        image: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent { .. } | Self::NoDirectory { .. } | Self::Dangling { .. } => {
                Kind::NotFound
            }
            Self::ForeignLink { .. } | Self::NoMkfs { .. } | Self::NoProgram { .. } => {
                Kind::Missing
            }
            Self::NotAFile { .. } => Kind::Definition,
            Self::InUse { .. } | Self::BeingMade { .. } => Kind::Busy,
            Self::NoSpace { .. }
            | Self::Program { .. }
            | Self::Damaged { .. }
            | Self::Disguised { .. } => Kind::Storage,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }

    fn io(image: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let image = image.to_owned();
        move |source| Self::Io { image, source }
    }
}

/// What was done to a volume, or was deliberately left undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Created {
        image: PathBuf,
        size_mib: u64,
        fs_type: String,
    },
    Grown {
        image: PathBuf,
        size_mib: u64,
    },
    /// The image grew; what is in it grows only from within the guest.
    GrowInGuest {
        image: PathBuf,
        size_mib: u64,
        how: String,
    },
    /// Shrinking could lose data.
    StaysLarger {
        image: PathBuf,
        is_mib: u64,
        size_mib: u64,
    },
    /// Images of this type cannot be resized.
    CannotGrow {
        image: PathBuf,
        size_mib: u64,
    },
    /// Nothing but zeros where a file system would begin.
    Blank {
        image: PathBuf,
        fs_type: String,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created {
                image,
                size_mib,
                fs_type,
            } => {
                write!(
                    f,
                    "Created the volume `{}` ({size_mib} MiB, {fs_type})",
                    image.display()
                )
            }
            Self::Grown { image, size_mib } => {
                write!(f, "The volume `{}` grew to {size_mib} MiB", image.display())
            }
            Self::GrowInGuest {
                image,
                size_mib,
                how,
            } => write!(
                f,
                "The volume `{}` grew to {size_mib} MiB; to use them, {how} in the guest",
                image.display()
            ),
            Self::StaysLarger {
                image,
                is_mib,
                size_mib,
            } => write!(
                f,
                "The volume `{}` stays at {is_mib} MiB, for shrinking it to {size_mib} MiB could lose data",
                image.display()
            ),
            Self::CannotGrow { image, size_mib } => write!(
                f,
                "The volume `{}` stays below {size_mib} MiB, for images of its type cannot be resized",
                image.display()
            ),
            Self::Blank { image, fs_type } => write!(
                f,
                "The volume `{0}` was there without a file system and is left as it is; remove it to have it created, or run `mkfs.{fs_type} {0}`",
                image.display()
            ),
        }
    }
}

/// Creates, grows or accepts a volume; relative images are of the current directory.
pub fn prepare(volume: &Volume) -> Result<Vec<Note>, Error> {
    let image = &volume.image;
    match image.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => absent(volume),
        Err(error) => Err(Error::io(image)(error)),
        Ok(meta) => {
            if meta.is_symlink() {
                check_link(image, &meta)?;
            }
            present(volume)
        }
    }
}

fn absent(volume: &Volume) -> Result<Vec<Note>, Error> {
    let image = volume.image.clone();
    let why = match &volume.create {
        _ if image.starts_with("/dev") => "devices are not created",
        _ if volume.access == Access::ReadOnly => "a read-only one is not created",
        Create::Never => "`autoCreate` is off",
        Create::Auto {
            size_mib,
            mkfs_extra_args,
        } => {
            return create::create(volume, *size_mib, mkfs_extra_args);
        }
    };
    Err(Error::Absent { image, why })
}

/// A link of somebody else could lead root to a file that this somebody may not touch.
fn check_link(image: &Path, link: &std::fs::Metadata) -> Result<(), Error> {
    let image = image.to_owned();
    if link.uid() != 0 && link.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Error::ForeignLink { image });
    }
    if image.try_exists().map_err(Error::io(&image))? {
        return Ok(());
    }
    let target = image.read_link().unwrap_or_default();
    Err(Error::Dangling { image, target })
}

fn present(volume: &Volume) -> Result<Vec<Note>, Error> {
    let image = &volume.image;
    let meta = image.metadata().map_err(Error::io(image))?;
    if meta.file_type().is_block_device() {
        return Ok(Vec::new());
    }
    if !meta.is_file() {
        return Err(Error::NotAFile {
            image: image.clone(),
        });
    }
    let Create::Auto { size_mib, .. } = volume.create else {
        return Ok(Vec::new());
    };
    if volume.access == Access::ReadOnly {
        return Ok(Vec::new());
    }
    match volume.image_type {
        ImageType::Raw => grow::raw(volume, meta.len(), size_mib),
        other => grow::wrapped(volume, other, size_mib),
    }
}

/// What is compared when an image's size is not a whole number of MiB: none is lost.
fn whole_mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB)
}

/// Last line that a program said, for a message.
fn last_words(output: &std::process::Output) -> String {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let mut lines = said.iter().flat_map(|text| text.lines().rev());
    lines
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests;
