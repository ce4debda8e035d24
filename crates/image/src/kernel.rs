//! Kernels: a store entry with `vmlinuz` (or `vmlinux`) and, in `lib/modules`, what an initrd may
//! need.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::error::{Error, io_at};
use crate::process::Tool;

/// Drivers that no initrd of a virtual machine loads, and that make most of a kernel's size.
const LEFT_OUT: [&str; 12] = [
    "drivers/accel",
    "drivers/comedi",
    "drivers/gpu",
    "drivers/iio",
    "drivers/infiniband",
    "drivers/isdn",
    "drivers/media",
    "drivers/net/ethernet",
    "drivers/net/wireless",
    "drivers/staging",
    "net/bluetooth",
    "sound",
];

/// Image and modules of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelFiles {
    pub(crate) image: PathBuf,
    /// `…/lib/modules/RELEASE`
    pub(crate) modules: Option<PathBuf>,
}

impl KernelFiles {
    /// The release, where the modules tell it.
    pub(crate) fn release(&self) -> Option<String> {
        let name = self.modules.as_ref()?.file_name()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// What a path of the definition stands for: an image alone, or a directory.
    pub(crate) fn given(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::find(path);
        }
        if !path.is_file() {
            return Err(Error::Kernel {
                path: path.to_owned(),
                problem: "is not there: neither an image nor a directory with one",
            });
        }
        Ok(Self {
            image: path.to_owned(),
            modules: None,
        })
    }

    /// Finds image and modules in a directory: a store entry, a guest's tree or a user's own.
    pub(crate) fn find(dir: &Path) -> Result<Self, Error> {
        let modules = module_dirs(dir).into_iter().max_by_key(|dir| numbers(dir));
        let image = find_image(dir, modules.as_deref()).ok_or_else(|| Error::Kernel {
            path: dir.to_owned(),
            problem: "has no `vmlinuz` or `vmlinux`, nor `boot/vmlinuz-*`",
        })?;
        Ok(Self { image, modules })
    }

    /// Copies both into a new store entry.
    pub(crate) fn install(&self, out: &Path, interrupted: &AtomicBool) -> Result<(), Error> {
        fs::create_dir(out).map_err(io_at("create", out))?;
        let name = image_name(&self.image);
        let image = out.join(name);
        fs::copy(&self.image, &image).map_err(io_at("write", &image))?;
        let (Some(modules), Some(release)) = (&self.modules, self.release()) else {
            return Ok(());
        };
        let target = out.join("lib/modules").join(&release);
        copy_modules(modules, &target)?;
        Tool::new("depmod", "kmod")
            .arg("--basedir")
            .arg(out)
            .arg(&release)
            .writes_to(out)
            .run(interrupted, &mut |_, _| {})
    }
}

/// Unpacks a package without installing it.
pub(crate) fn unpack(package: &Path, to: &Path, interrupted: &AtomicBool) -> Result<(), Error> {
    Tool::new("dpkg-deb", "dpkg")
        .arg("--extract")
        .args([package, to])
        .writes_to(to)
        .run(interrupted, &mut |_, _| {})
}

/// The directories `lib/modules/RELEASE` of a tree.
pub(crate) fn module_dirs(tree: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for lib in ["usr/lib/modules", "lib/modules"] {
        for child in fs::read_dir(tree.join(lib)).into_iter().flatten().flatten() {
            let path = child.path();
            let known = |dir: &PathBuf| dir.file_name() == path.file_name();
            if path.join("kernel").is_dir() && !dirs.iter().any(known) {
                dirs.push(path);
            }
        }
    }
    dirs
}

fn find_image(dir: &Path, modules: Option<&Path>) -> Option<PathBuf> {
    let release = modules
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let of_release = release.map(|release| format!("vmlinuz-{release}"));
    let fixed = ["vmlinuz", "vmlinux", "bzImage", "Image"].map(|name| dir.join(name));
    let named = of_release.iter().map(|name| dir.join("boot").join(name));
    let beside_modules = modules.iter().map(|dir| dir.join("vmlinuz"));
    let mut candidates: Vec<PathBuf> = named.chain(beside_modules).chain(fixed).collect();
    let mut in_boot: Vec<PathBuf> = fs::read_dir(dir.join("boot"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_image(path))
        .collect();
    in_boot.sort_by_key(|path| numbers(path));
    candidates.extend(in_boot.into_iter().rev());
    candidates.into_iter().find(|path| path.is_file())
}

/// The numbers in a name, by which `6.1.0-10` comes after `6.1.0-9`.
fn numbers(path: &Path) -> Vec<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|number| number.parse().ok()).collect()
}

/// An ELF image and arm64's keep their names: hypervisors tell the formats apart by them.
fn image_name(image: &Path) -> &'static str {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    match name {
        name if name.starts_with("vmlinux") => "vmlinux",
        name if name.starts_with("Image") => "Image",
        _ => "vmlinuz",
    }
}

fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("vmlinu")
}

fn copy_modules(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(io_at("create", to))?;
    for file in [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
    ] {
        let source = from.join(file);
        if source.is_file() {
            fs::copy(&source, to.join(file)).map_err(io_at("copy", &source))?;
        }
    }
    let kernel = from.join("kernel");
    copy_drivers(&kernel, &kernel, &to.join("kernel"))
}

fn copy_drivers(base: &Path, from: &Path, to: &Path) -> Result<(), Error> {
    let relative = from.strip_prefix(base).unwrap_or(from);
    if LEFT_OUT
        .iter()
        .any(|left_out| relative == Path::new(left_out))
    {
        return Ok(());
    }
    fs::create_dir(to).map_err(io_at("create", to))?;
    for child in fs::read_dir(from).map_err(io_at("read", from))? {
        let path = child.map_err(io_at("read", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        let metadata = path.symlink_metadata().map_err(io_at("read", &path))?;
        if metadata.is_dir() {
            copy_drivers(base, &path, &target)?;
        } else if metadata.is_file() {
            fs::copy(&path, &target).map_err(io_at("copy", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    #[test]
    fn newest_modules_decide_the_image() {
        let temp = tempfile::tempdir().unwrap();
        let tree = temp.path();
        for release in ["6.1.0-9", "6.1.0-10"] {
            touch(&tree.join(format!("boot/vmlinuz-{release}")));
            touch(&tree.join(format!("usr/lib/modules/{release}/kernel/fs/x.ko")));
        }
        touch(&tree.join("boot/vmlinuz-9-no-modules"));
        let found = KernelFiles::find(tree).unwrap();
        assert_eq!(found.image, tree.join("boot/vmlinuz-6.1.0-10"));
        assert_eq!(found.release().as_deref(), Some("6.1.0-10"));
    }

    #[test]
    fn nothing_to_boot_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let error = KernelFiles::find(temp.path()).unwrap_err();
        assert!(error.to_string().contains("boot/vmlinuz-*"), "{error}");
    }

    #[test]
    fn initrd_needs_no_sound() {
        let temp = tempfile::tempdir().unwrap();
        let modules = temp.path().join("lib/modules/6.1");
        touch(&modules.join("kernel/sound/x.ko"));
        touch(&modules.join("kernel/fs/erofs.ko"));
        touch(&modules.join("modules.order"));
        copy_modules(&modules, &temp.path().join("out")).unwrap();
        assert!(!temp.path().join("out/kernel/sound").exists());
        assert!(temp.path().join("out/kernel/fs/erofs.ko").exists());
        assert!(temp.path().join("out/modules.order").exists());
    }
}
