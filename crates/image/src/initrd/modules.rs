//! Which module files are loaded in which order, from depmod's own tables.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use super::InitrdError;
use super::wanted::Wanted;

/// `modules.dep` and `modules.builtin` of one kernel.
pub struct Modules<'a> {
    release: &'a str,
    /// Name (with `_`) to the file and the files that it depends on.
    files: HashMap<String, (&'a str, Vec<&'a str>)>,
    builtin: HashSet<String>,
}

impl<'a> Modules<'a> {
    /// Lines that depmod(8) does not write are passed over.
    pub fn parse(release: &'a str, dep: &'a str, builtin: &'a str) -> Self {
        let files = dep.lines().filter_map(|line| {
            let (file, needs) = line.split_once(':')?;
            Some((name_of(file), (file, needs.split_whitespace().collect())))
        });
        Self {
            release,
            files: files.collect(),
            builtin: builtin.lines().map(name_of).collect(),
        }
    }

    /// Files of these modules and of all that they depend on, dependencies first.
    pub fn resolve(&self, wanted: &[Wanted]) -> Result<Vec<String>, InitrdError> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        for module in wanted {
            let name = name_of(module.name);
            match (self.files.get(&name), module.reason) {
                (Some((file, _)), _) => self.visit(file, &mut seen, &mut order)?,
                (None, Some(reason)) if !self.builtin.contains(&name) => {
                    return Err(InitrdError::NoModule {
                        module: module.name,
                        release: self.release.to_owned(),
                        reason,
                    });
                }
                (None, _) => {}
            }
        }
        Ok(order)
    }

    fn visit(
        &self,
        file: &'a str,
        seen: &mut HashSet<&'a str>,
        order: &mut Vec<String>,
    ) -> Result<(), InitrdError> {
        if !seen.insert(file) {
            return Ok(());
        }
        let (_, needs) = &self.files[&name_of(file)];
        for needed in needs {
            if !self.files.contains_key(&name_of(needed)) {
                return Err(InitrdError::NoDependency {
                    file: file.to_owned(),
                    needed: (*needed).to_owned(),
                    release: self.release.to_owned(),
                });
            }
            self.visit(needed, seen, order)?;
        }
        order.push(file.to_owned());
        Ok(())
    }
}

/// `kernel/fs/foo-bar.ko.xz` and `foo-bar` are `foo_bar`: the kernel takes `-` and `_` for one.
fn name_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.split(".ko").next().unwrap_or(name);
    stem.replace('-', "_")
}

/// The module itself, by the ending of its name.
pub fn unpack(path: &Path, packed: Vec<u8>) -> Result<Vec<u8>, InitrdError> {
    let cannot = |source: std::io::Error| InitrdError::Read {
        path: path.to_owned(),
        source,
    };
    let mut module = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => return Ok(packed),
        Some("xz") => {
            let mut reader = lzma_rust2::XzReader::new(packed.as_slice(), true);
            reader.read_to_end(&mut module).map_err(cannot)?;
        }
        Some("gz") => {
            let mut reader = flate2::read::GzDecoder::new(packed.as_slice());
            reader.read_to_end(&mut module).map_err(cannot)?;
        }
        Some("zst") => {
            let mut reader = ruzstd::decoding::StreamingDecoder::new(packed.as_slice())
                .map_err(|error| cannot(std::io::Error::other(error)))?;
            reader.read_to_end(&mut module).map_err(cannot)?;
        }
        _ => return Err(InitrdError::Compression(path.to_owned())),
    }
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/drivers/virtio/virtio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz
kernel/drivers/virtio/virtio_ring.ko.xz:
kernel/drivers/virtio/virtio_mmio.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/fs/broken.ko: kernel/fs/absent.ko
";

    fn wanted(name: &'static str, reason: Option<&'static str>) -> Wanted {
        Wanted { name, reason }
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let modules = Modules::parse("6.1", DEP, "kernel/fs/overlay.ko\n");
        let wanted = [
            wanted("virtio_mmio", Some("x")),
            wanted("virtio", Some("x")),
            wanted("crc32c_intel", None),
        ];
        let files = modules.resolve(&wanted).unwrap();
        let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
        assert_eq!(
            names,
            ["virtio_ring", "virtio", "virtio_mmio", "crc32c_intel"]
        );
    }

    #[test]
    fn what_is_built_in_or_optional_needs_no_file() {
        let modules = Modules::parse("6.1", DEP, "kernel/fs/overlay.ko\n");
        assert!(
            modules
                .resolve(&[wanted("overlay", Some("x")), wanted("virtio-rng", None)])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_reason() {
        let modules = Modules::parse("6.1.0-cloud", DEP, "");
        let error = modules
            .resolve(&[wanted("9p", Some("a 9p share"))])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Kernel 6.1.0-cloud has no module `9p`, which a 9p share needs; \
             `kernel = \"generic\"` has more modules than `\"cloud\"`"
        );
        assert!(matches!(
            modules.resolve(&[wanted("broken", Some("x"))]),
            Err(InitrdError::NoDependency { .. })
        ));
    }
}
