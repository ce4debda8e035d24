//! How an image is run, by its configuration
//! (<https://github.com/opencontainers/image-spec/blob/main/config.md>).

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spec::vm::Arch;

use super::checked;
use crate::debian::debian_arch;
use crate::error::{Error, io_at};

/// Larger ones are none.
const LARGEST: u64 = 4 << 20;

/// What the image says of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Process,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Process {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

impl Config {
    /// Reads it from a layout with one image.
    pub(crate) fn read(layout: &Path) -> Result<Self, Error> {
        let index: Index = json(&layout.join("index.json"))?;
        let [manifest] = &index.manifests[..] else {
            return Err(Error::Image {
                image: layout.display().to_string(),
                problem: format!("has {} images, not one", index.manifests.len()),
            });
        };
        let manifest: Manifest = json(&blob(layout, manifest)?)?;
        json(&blob(layout, &manifest.config)?)
    }

    /// Refuses an image for another machine.
    pub(super) fn check(&self, arch: Arch) -> Result<(), Error> {
        let wanted = debian_arch(arch);
        if self.os == "linux" && self.architecture == wanted {
            return Ok(());
        }
        Err(Error::Image {
            image: "of the guest".into(),
            problem: format!(
                "is for `{}/{}`, the guest is `linux/{wanted}`",
                self.os, self.architecture
            ),
        })
    }

    /// Program and arguments; empty where the image names none.
    pub(crate) fn command(&self) -> Vec<String> {
        let parts = [&self.config.entrypoint, &self.config.cmd];
        parts.into_iter().flatten().flatten().cloned().collect()
    }

    /// `NAME=value`
    pub(crate) fn environment(&self) -> &[String] {
        self.config.env.as_deref().unwrap_or_default()
    }

    pub(crate) fn directory(&self) -> &str {
        match self.config.working_dir.as_deref() {
            None | Some("") => "/",
            Some(directory) => directory,
        }
    }

    /// `USER`, `USER:GROUP`, by name or number; empty for root.
    pub(crate) fn user(&self) -> &str {
        self.config.user.as_deref().unwrap_or_default()
    }

    /// `SIGQUIT`, `QUIT` or `3`.
    pub(crate) fn stop_signal(&self) -> Option<&str> {
        self.config.stop_signal.as_deref()
    }
}

fn blob(layout: &Path, descriptor: &Descriptor) -> Result<std::path::PathBuf, Error> {
    let (kind, hex) = checked(&descriptor.digest)?
        .split_once(':')
        .unwrap_or_default();
    Ok(layout.join("blobs").join(kind).join(hex))
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let length = fs::metadata(path).map_err(io_at("read", path))?.len();
    let bad = |problem: String| Error::Image {
        image: path.display().to_string(),
        problem,
    };
    if length > LARGEST {
        return Err(bad(format!("has {length} bytes where JSON is expected")));
    }
    let text = fs::read(path).map_err(io_at("read", path))?;
    serde_json::from_slice(&text).map_err(|error| bad(format!("is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_runs() {
        let text = r#"{"architecture": "amd64", "os": "linux", "config": {
            "Env": ["A=b"], "Entrypoint": ["/x", "-y"], "Cmd": ["z"], "WorkingDir": ""}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.command(), ["/x", "-y", "z"]);
        assert_eq!((config.directory(), config.user()), ("/", ""));
        config.check(Arch::X86_64).unwrap();
        let error = config.check(Arch::Aarch64).unwrap_err();
        assert!(error.to_string().contains("`linux/amd64`"), "{error}");
    }

    #[test]
    fn nothing_is_said_by_an_image_from_scratch() {
        let text = r#"{"architecture": "amd64", "os": "linux", "config": {"Cmd": null}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.command(), Vec::<String>::new());
    }
}
