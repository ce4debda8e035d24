//! The `oci` guest source: container images, read by skopeo(1) and unpacked by umoci(1).
//!
//! Neither of them is trusted with a name that could be an option or another path, and what they
//! unpack lies where only this user can enter until it is confined (see [`crate::hook`]).

mod config;

use std::fs;
use std::path::{Path, PathBuf};

use spec::guest::{Oci, OciFormat, OciImage};
use spec::vm::Arch;

pub(crate) use config::Config;

use crate::context::BuildContext;
use crate::debian::debian_arch;
use crate::error::{Error, io_at};
use crate::lock::OciEntry;
use crate::process::Tool;
use crate::progress::Phase;
use crate::store::Digest;

/// What an image is called in the layouts that are made here.
const TAG: &str = "image";

/// An image of this or that place, for one architecture.
pub(crate) struct Source<'a> {
    oci: &'a Oci,
    arch: Arch,
    context: &'a BuildContext<'a>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(oci: &'a Oci, arch: Arch, context: &'a BuildContext) -> Self {
        Self { oci, arch, context }
    }

    /// Name of the entry of the lock; nothing is pinned of what lies on this host.
    pub(crate) fn lock_key(oci: &Oci, arch: Arch) -> Option<String> {
        let OciImage::Registry(name) = &oci.image else {
            return None;
        };
        let digest = Digest::of("oci lock entry")
            .field("image", name)
            .field("arch", debian_arch(arch))
            .finish();
        Some(digest.name()[..16].to_owned())
    }

    /// What the lock is to pin.
    pub(crate) fn resolve(&self, name: &str) -> Result<OciEntry, Error> {
        Ok(OciEntry {
            image: name.to_owned(),
            arch: debian_arch(self.arch).to_owned(),
            digest: match name.split_once('@') {
                Some((_, digest)) => checked(digest)?.to_owned(),
                None => self.digest(&format!("docker://{name}"))?,
            },
        })
    }

    /// Digest of an image on this host.
    pub(crate) fn local_digest(&self) -> Result<String, Error> {
        self.digest(&self.local()?)
    }

    fn digest(&self, place: &str) -> Result<String, Error> {
        self.context.progress.start(Phase::Resolve, place);
        let text = self
            .skopeo("inspect", "--tls-verify=false")
            .args(["--format", "{{.Digest}}", "--", place])
            .output(self.context.interrupted)
            .map_err(|error| self.in_words(error))?;
        Ok(checked(text.trim())?.to_owned())
    }

    /// Copies the image into a layout of its own, and reads how it is run.
    pub(crate) fn fetch(&self, digest: &str, to: &Path) -> Result<Config, Error> {
        let place = match &self.oci.image {
            OciImage::Registry(name) => {
                // skopeo takes a tag or a digest, not both.
                let name = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
                let end = name.rfind('/').unwrap_or(0);
                let tag = name[end..].find(':').map(|at| end + at);
                format!("docker://{}@{digest}", &name[..tag.unwrap_or(name.len())])
            }
            OciImage::Local { .. } => self.local()?,
        };
        self.context.progress.start(Phase::Download, &place);
        self.skopeo("copy", "--src-tls-verify=false")
            .args(["--quiet", "--", &place])
            .arg(format!("oci:{}:{TAG}", plain(to)?))
            .writes_to(to)
            .run(self.context.interrupted, &mut |_, _| {})
            .map_err(|error| self.in_words(error))?;
        let config = Config::read(to)?;
        config.check(self.arch)?;
        Ok(config)
    }

    /// As skopeo names it.
    fn local(&self) -> Result<String, Error> {
        let OciImage::Local {
            format,
            path,
            reference,
        } = &self.oci.image
        else {
            unreachable!("an image of a registry is named by its digest");
        };
        if !path.exists() {
            return Err(Error::Image {
                image: path.display().to_string(),
                problem: "is not there".into(),
            });
        }
        let transport = match format {
            OciFormat::Layout => "oci",
            OciFormat::Archive => "oci-archive",
            OciFormat::DockerArchive => "docker-archive",
            OciFormat::Found => self.found(path)?,
        };
        let mut place = format!("{transport}:{}", plain(path)?);
        if let Some(reference) = reference {
            place = format!("{place}:{reference}");
        }
        Ok(place)
    }

    /// Which of the formats a path has.
    fn found(&self, path: &Path) -> Result<&'static str, Error> {
        if path.is_dir() {
            return Ok("oci");
        }
        let names = Tool::new("tar", "tar")
            .arg("--list")
            .arg(format!("--file={}", plain(path)?))
            .output(self.context.interrupted)?;
        let has = |name: &str| {
            names
                .lines()
                .any(|line| line.trim_start_matches("./") == name)
        };
        match (has("index.json"), has("manifest.json")) {
            (true, _) => Ok("oci-archive"),
            (false, true) => Ok("docker-archive"),
            (false, false) => Err(Error::Image {
                image: path.display().to_string(),
                problem:
                    "has neither `index.json` nor `manifest.json`: it is no archive of an image"
                        .into(),
            }),
        }
    }

    fn skopeo(&self, verb: &str, insecure: &str) -> Tool {
        let arch = debian_arch(self.arch);
        let tool = Tool::new("skopeo", "skopeo")
            .args(["--override-os", "linux", "--override-arch", arch])
            .arg(verb);
        match self.oci.tls_verify {
            true => tool,
            false => tool.arg(insecure),
        }
    }

    /// What to do about what registries refuse.
    fn in_words(&self, error: Error) -> Error {
        match error {
            Error::Failed { reason, .. } if reason.contains("HTTP response to HTTPS client") => {
                Error::Image {
                    image: self.name(),
                    problem: "is in a registry that speaks HTTP; `guest.ociTlsVerify = false` \
                              allows that"
                        .into(),
                }
            }
            Error::Failed { reason, .. } => Error::Image {
                image: self.name(),
                problem: format!("cannot be read: {reason}"),
            },
            other => other,
        }
    }

    fn name(&self) -> String {
        match &self.oci.image {
            OciImage::Registry(name) => name.clone(),
            OciImage::Local { path, .. } => path.display().to_string(),
        }
    }
}

/// Unpacks an image of [`Source::fetch`]; gives the tree. A user without privileges owns all of
/// it, as the build's name space has it.
pub(crate) fn unpack(
    layout: &Path,
    bundle: &Path,
    context: &BuildContext,
) -> Result<PathBuf, Error> {
    context.progress.start(Phase::Unpack, "image");
    let mut umoci = Tool::new("umoci", "umoci").arg("unpack");
    if !nix::unistd::geteuid().is_root() {
        umoci = umoci.arg("--rootless");
    }
    umoci
        .arg("--image")
        .arg(format!("{}:{TAG}", plain(layout)?))
        .arg(bundle)
        .writes_to(bundle)
        .run(context.interrupted, &mut |_, _| {})?;
    let tree = bundle.join("rootfs");
    match tree.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(tree),
        Ok(_) => Err(Error::Tree {
            tree,
            problem: "no directory as its root".into(),
        }),
        Err(error) => Err(io_at("read", &tree)(error)),
    }
}

/// The layout of an image in the cache, made by `make` where it is absent.
pub(crate) fn cached(
    digest: &str,
    context: &BuildContext,
    make: impl FnOnce(&Path) -> Result<Config, Error>,
) -> Result<PathBuf, Error> {
    let dir = context.cache_dir.join("oci");
    let layout = dir.join(checked(digest)?.replace(':', "-"));
    if layout.is_dir() {
        return Ok(layout);
    }
    fs::create_dir_all(&dir).map_err(io_at("create", &dir))?;
    let temp = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&dir)
        .map_err(io_at("create a directory in", &dir))?;
    let fetched = temp.path().join("layout");
    make(&fetched)?;
    match fs::rename(&fetched, &layout) {
        Err(_) if layout.is_dir() => {}
        done => done.map_err(io_at("create", &layout))?,
    }
    Ok(layout)
}

/// `sha256:` and hex digits: what is made a file's name, and an argument.
fn checked(digest: &str) -> Result<&str, Error> {
    let right = digest.split_once(':').is_some_and(|(kind, hex)| {
        matches!(kind, "sha256" | "sha512")
            && hex.len() >= 64
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    match right {
        true => Ok(digest),
        false => Err(Error::Image {
            image: digest.to_owned(),
            problem: "is no digest, which would be `sha256:` and 64 hex digits".into(),
        }),
    }
}

/// A colon ends the path in the words of both programs.
fn plain(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().filter(|text| !text.contains(':'));
    text.ok_or_else(|| Error::Image {
        image: path.display().to_string(),
        problem: "has a path with a colon, or one that is no text: skopeo cannot name it".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("sha256:0123", false)]
    #[case(
        "sha256:../../../../../../../../../../../../../../../../../../../../../../etc",
        false
    )]
    #[case(
        "md5:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        false
    )]
    #[case(
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        true
    )]
    fn a_digest_is_no_path(#[case] digest: &str, #[case] right: bool) {
        assert_eq!(checked(digest).is_ok(), right);
    }
}
