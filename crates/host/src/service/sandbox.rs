//! What one VM's unit may write beside its directory: a drop-in of `microvm@NAME`, made from what
//! the VM declares, and removed with it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use spec::Vm;
use spec::names::VmName;
use spec::vm::{Access, ShareProto};

use super::units::{self, Error};

/// Where drop-ins are, below the root of the host.
const UNITS: &str = "etc/systemd/system";
const FILE: &str = "50-microvm-paths.conf";

/// What a VM's hypervisor writes outside its directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    writable: Vec<PathBuf>,
    devices: Vec<PathBuf>,
}

impl Paths {
    /// Volumes, and 9p shares: those of virtiofs have daemons of their own.
    pub fn of(vm: &Vm) -> Self {
        let mut paths = Self::default();
        for volume in &vm.volumes {
            let is_device = volume.image.starts_with("/dev");
            match (volume.access, is_device) {
                _ if !volume.image.is_absolute() => {}
                (_, true) => paths.devices.push(volume.image.clone()),
                (Access::ReadOnly, false) => {}
                // Its directory, where the image is made.
                (Access::ReadWrite, false) => {
                    paths
                        .writable
                        .extend(volume.image.parent().map(Path::to_owned));
                }
            }
        }
        let nine_p = vm.shares.iter().filter(|share| {
            matches!(share.proto, ShareProto::NineP { .. })
                && share.access == Access::ReadWrite
                && share.source.is_absolute()
        });
        paths
            .writable
            .extend(nine_p.map(|share| share.source.clone()));
        paths.writable.sort();
        paths.writable.dedup();
        // All of the host is no exception but the end of the sandbox; that is for a person to say.
        paths.writable.retain(|path| path != Path::new("/"));
        paths
    }

    fn is_empty(&self) -> bool {
        self.writable.is_empty() && self.devices.is_empty()
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n[Service]\n", units::MARK);
        for path in &self.writable {
            text += &format!("ReadWritePaths=\"-{}\"\n", escaped(path));
        }
        for path in &self.devices {
            text += &format!("DeviceAllow={} rw\n", escaped(path));
        }
        text
    }
}

/// As systemd reads it back in double quotes; `%` begins a specifier.
pub fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
}

/// Writes the drop-in below `root`, or removes it where it is not needed; says whether anything
/// changed, so that systemd has to be told.
pub fn allow(root: &Path, name: &VmName, paths: &Paths) -> Result<bool, Error> {
    let file = file(root, name);
    if paths.is_empty() {
        return forget(root, name);
    }
    let text = paths.text();
    if fs::read_to_string(&file).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    units::is_ours_or_absent(&file)?;
    units::write(&file, &text)?;
    Ok(true)
}

/// Removes the drop-in; others of the same unit stay.
pub fn forget(root: &Path, name: &VmName) -> Result<bool, Error> {
    let file = file(root, name);
    match units::is_ours_or_absent(&file) {
        Ok(true) => {}
        Ok(false) | Err(Error::Foreign { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(units::io("delete", &file)(error)),
        _ => {
            // It stays where others are in it.
            let _ = fs::remove_dir(file.parent().unwrap_or(root));
            Ok(true)
        }
    }
}

fn file(root: &Path, name: &VmName) -> PathBuf {
    root.join(UNITS)
        .join(format!("microvm@{name}.service.d"))
        .join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(writable: &[&str], devices: &[&str]) -> Paths {
        let all = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Paths {
            writable: all(writable),
            devices: all(devices),
        }
    }

    #[test]
    fn a_drop_in_appears_changes_and_goes() {
        let root = tempfile::tempdir().unwrap();
        let name = VmName::try_from("web".to_owned()).unwrap();
        let wanted = paths(&["/srv/a b\"%"], &["/dev/vg/lv"]);
        assert!(allow(root.path(), &name, &wanted).unwrap());
        assert!(!allow(root.path(), &name, &wanted).unwrap());
        let text = fs::read_to_string(file(root.path(), &name)).unwrap();
        assert!(text.ends_with(
            "[Service]\nReadWritePaths=\"-/srv/a b\\\"%%\"\nDeviceAllow=/dev/vg/lv rw\n"
        ));
        assert!(allow(root.path(), &name, &Paths::default()).unwrap());
        assert!(!file(root.path(), &name).parent().unwrap().exists());
        assert!(!forget(root.path(), &name).unwrap());
    }

    #[test]
    fn a_drop_in_of_somebody_else_is_left() {
        let root = tempfile::tempdir().unwrap();
        let name = VmName::try_from("web".to_owned()).unwrap();
        let file = file(root.path(), &name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "[Service]\n").unwrap();
        assert!(allow(root.path(), &name, &paths(&["/srv"], &[])).is_err());
        assert!(!forget(root.path(), &name).unwrap());
        assert!(file.exists());
    }
}
