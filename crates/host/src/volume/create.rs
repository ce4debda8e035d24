//! Makes an image beside its place and renames it when it is complete.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use spec::vm::{ImageType, Volume};

use super::format::Formatter;
use super::{Error, MIB, Note, last_words, qemu_img};

/// Creates, formats and installs the image of a volume.
pub fn create(volume: &Volume, size_mib: u64, mkfs_args: &[String]) -> Result<Vec<Note>, Error> {
    let image = &volume.image;
    check_directory(image)?;
    let formatter = Formatter::of(volume, mkfs_args).map_err(|source| Error::NoMkfs {
        image: image.clone(),
        fs_type: volume.fs_type.clone(),
        source,
    })?;
    let held = HeldSignals::hold();
    let raw = HalfMade::create(image, "new")?;
    raw.fill(size_mib, &formatter)?;
    match volume.image_type {
        ImageType::Raw => raw.install()?,
        other => {
            let wrapped = HalfMade::create(image, "wrapped")?;
            qemu_img::convert(image, &raw.path, &wrapped.path, other)?;
            wrapped.install()?;
        }
    }
    drop(held);
    Ok(vec![Note::Created {
        image: image.clone(),
        size_mib,
        fs_type: volume.fs_type.clone(),
    }])
}

/// The directory of a path; `.` where it names none.
fn directory_of(image: &Path) -> &Path {
    let parent = image
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn check_directory(image: &Path) -> Result<(), Error> {
    let directory = directory_of(image);
    if directory.is_dir() {
        return Ok(());
    }
    Err(Error::NoDirectory {
        image: image.to_owned(),
        directory: directory.to_owned(),
    })
}

/// A file under a hidden name; removed unless it was installed.
struct HalfMade {
    image: PathBuf,
    path: PathBuf,
    file: File,
}

impl HalfMade {
    /// What a killed process left under the same name is taken over: it is known to be ours by
    /// its name, and known to be nobody's by its lock.
    fn create(image: &Path, suffix: &str) -> Result<Self, Error> {
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let path = directory_of(image).join(format!(".{name}.{suffix}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(Error::io(image))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::BeingMade {
                    image: image.to_owned(),
                });
            }
            Err(error) => return Err(Error::io(image)(error.into())),
        }
        let made = Self {
            image: image.to_owned(),
            path,
            file,
        };
        made.file.set_len(0).map_err(Error::io(image))?;
        Ok(made)
    }

    fn fill(&self, size_mib: u64, formatter: &Formatter) -> Result<(), Error> {
        avoid_copy_on_write(&self.file);
        self.file
            .set_len(size_mib * MIB)
            .map_err(Error::io(&self.image))?;
        let output = formatter.run(&self.path).map_err(Error::io(&self.image))?;
        let full = || self.no_space(size_mib);
        if !output.status.success() {
            let said = last_words(&output);
            if said.contains("No space left") || self.disk_is_full() {
                return Err(full());
            }
            return Err(Error::Program {
                image: self.image.clone(),
                program: formatter.program.clone(),
                status: output.status,
                said,
            });
        }
        self.file.sync_all().map_err(|source| match source.kind() {
            std::io::ErrorKind::StorageFull => full(),
            _ => Error::io(&self.image)(source),
        })
    }

    fn no_space(&self, size_mib: u64) -> Error {
        Error::NoSpace {
            image: self.image.clone(),
            size_mib,
        }
    }

    /// mke2fs calls a full disk a short write.
    fn disk_is_full(&self) -> bool {
        const NOTHING: u64 = 64 * 1024;
        rustix::fs::fstatvfs(&self.file)
            .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < NOTHING)
    }

    /// Gives the file its name, unless something has it by now.
    fn install(self) -> Result<(), Error> {
        let io = Error::io(&self.image);
        let renamed = rustix::fs::renameat_with(
            rustix::fs::CWD,
            &self.path,
            rustix::fs::CWD,
            &self.image,
            rustix::fs::RenameFlags::NOREPLACE,
        );
        let done = match renamed {
            // Some network file systems have no such rename; a link refuses to replace, too.
            Err(Errno::INVAL) => std::fs::hard_link(&self.path, &self.image),
            other => other.map_err(std::io::Error::from),
        };
        done.map_err(io)?;
        if let Ok(directory) = File::open(directory_of(&self.image)) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

impl Drop for HalfMade {
    fn drop(&mut self) {
        // After a rename nothing is there any more under this name.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// btrfs fragments images badly unless they are marked while empty; others refuse, which is fine.
fn avoid_copy_on_write(file: &File) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    if let Ok(flags) = ioctl_getflags(file) {
        let _ = ioctl_setflags(file, flags | IFlags::NOCOW);
    }
}

/// Puts off the signals that end a program, so that it ends with nothing half-made left. mkfs
/// itself does get a Ctrl-C, and its failure is cleaned up after.
struct HeldSignals(SigSet);

impl HeldSignals {
    fn hold() -> Self {
        let mut ending = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            ending.add(signal);
        }
        let before = ending.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        Self(before.unwrap_or_else(|_| SigSet::empty()))
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask();
    }
}
