//! apt with lists, cache and configuration of its own: it neither sees nor touches what is
//! installed on this host.
//!
//! Of the host's configuration it takes how to fetch (proxies, certificates, retries).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use nix::fcntl::Flock;

use super::archive::source_line;
use super::stanza::Stanza;
use crate::error::{Error, io_at};
use crate::lock::Package;
use crate::process::{Stream, Tool};
use crate::progress::{Phase, Progress};
use crate::store::{Digest, lock_exclusively};

/// A private apt for one set of sources, held alone.
pub(crate) struct Apt<'a> {
    dir: PathBuf,
    arch: &'static str,
    sources: Vec<String>,
    interrupted: &'a AtomicBool,
    _lock: Flock<File>,
}

impl<'a> Apt<'a> {
    pub(super) fn new(
        cache: &Path,
        arch: &'static str,
        sources: &[String],
        interrupted: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let key = Digest::of("apt")
            .field("arch", arch)
            .json("sources", &sources);
        let dir = cache.join("apt").join(key.finish().name());
        for sub in ["lists/partial", "cache/archives/partial"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).map_err(io_at("create", &sub))?;
        }
        let lock = lock_exclusively(&dir.join("lock"), interrupted)?;
        let apt = Self {
            dir,
            arch,
            sources: sources.to_vec(),
            interrupted,
            _lock: lock,
        };
        apt.configure()?;
        Ok(apt)
    }

    /// Fetches the lists.
    pub(super) fn update(&self) -> Result<(), Error> {
        self.fetch_lists(&[])
    }

    /// The codename that the first source's suite stands for, by its signed release file.
    pub(super) fn codename(&self, suite: &str) -> Result<String, Error> {
        self.fetch_lists(&[
            "-o",
            "Acquire::IndexTargets::deb::Packages::DefaultEnabled=false",
        ])?;
        let lists = self.dir.join("lists");
        let files = fs::read_dir(&lists).map_err(io_at("read", &lists))?;
        let of_suite = |name: &str| {
            name.ends_with(&format!("_dists_{suite}_InRelease"))
                || name.ends_with(&format!("_dists_{suite}_Release"))
        };
        for file in files.flatten() {
            if of_suite(&file.file_name().to_string_lossy()) {
                let path = file.path();
                let text = fs::read_to_string(&path).map_err(io_at("read", &path))?;
                let named = text
                    .lines()
                    .find_map(|line| line.strip_prefix("Codename: "));
                return Ok(named.unwrap_or(suite).trim().to_owned());
            }
        }
        Ok(suite.to_owned())
    }

    fn fetch_lists(&self, options: &[&str]) -> Result<(), Error> {
        // Without `--error-on=any` an unreachable mirror is only a warning.
        let result = self
            .tool("apt-get")
            .args(["update", "--error-on=any"])
            .args(options)
            .writes_to(&self.dir)
            .run(self.interrupted, &mut |_, _| {});
        result.map_err(archive_error)
    }

    /// What installing `names` and Debian's essential and required packages would install.
    pub(super) fn closure(&self, suite: &str, names: &[&str]) -> Result<Vec<Package>, Error> {
        let result = self
            .tool("apt-get")
            .args(["--simulate", "--no-install-recommends", "install"])
            .args(["--", "?or(?essential,?priority(^required$))"])
            .args(names)
            .output(self.interrupted);
        let text = result.map_err(|error| unknown_packages(error, suite))?;
        let mut packages: Vec<Package> = text.lines().filter_map(installed).collect();
        packages.sort();
        Ok(packages)
    }

    /// Index stanzas of packages; those that the archive does not have are left out.
    pub(super) fn show(&self, packages: &[Package]) -> Result<Vec<Stanza>, Error> {
        let exact = packages.iter().map(exactly);
        let text = match self
            .tool("apt-cache")
            .arg("show")
            .args(exact)
            .output(self.interrupted)
        {
            Err(Error::Failed { .. }) => String::new(),
            text => text?,
        };
        let wanted: BTreeSet<&Package> = packages.iter().collect();
        let mut seen = BTreeSet::new();
        let mut stanzas = Stanza::parse_all(&text);
        stanzas.retain(|stanza| {
            let package = stanza.package();
            package.is_some_and(|p| wanted.contains(&p) && seen.insert(p))
        });
        Ok(stanzas)
    }

    /// The version of a package that apt would install.
    pub(super) fn candidate(&self, suite: &str, name: &str) -> Result<Stanza, Error> {
        let result = self
            .tool("apt-cache")
            .args(["show", "--no-all-versions", name])
            .output(self.interrupted);
        let text = match result {
            Err(Error::Failed { .. }) => String::new(),
            text => text?,
        };
        let stanza = Stanza::parse_all(&text).into_iter().next();
        stanza.ok_or_else(|| Error::UnknownPackages {
            suite: suite.to_owned(),
            names: vec![name.to_owned()],
        })
    }

    /// Downloads packages into `dir`, under the names that apt gives them.
    pub(super) fn download(
        &self,
        packages: &[Package],
        dir: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let total = packages.len() as u64;
        let mut got = 0;
        let result = self
            .tool("apt-get")
            .arg("download")
            .args(packages.iter().map(exactly))
            .current_dir(dir)
            .writes_to(dir)
            .run(self.interrupted, &mut |stream, line| {
                if stream == Stream::Out && line.starts_with("Get:") {
                    got += 1;
                    progress.advance(Phase::Download, total.min(got), total);
                }
            });
        result.map_err(archive_error)
    }

    fn configure(&self) -> Result<(), Error> {
        let dump = Tool::new("apt-config", "apt")
            .arg("dump")
            .output(self.interrupted)?;
        // The host's files are left out for what else they hold: hooks that run at each update.
        let own = "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n".to_owned();
        let fetching = dump
            .lines()
            .filter(|line| is_fetching(line))
            .fold(own, |text, line| text + line + "\n");
        let sources: String = self.sources.iter().map(|s| source_line(s)).collect();
        for (name, text) in [
            ("apt.conf", fetching),
            ("sources.list", sources),
            ("status", String::new()),
        ] {
            let path = self.dir.join(name);
            fs::write(&path, text).map_err(io_at("write", &path))?;
        }
        Ok(())
    }

    fn tool(&self, program: &str) -> Tool {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let options = [
            ("Dir::State", path("")),
            ("Dir::State::lists", path("lists")),
            ("Dir::State::status", path("status")),
            ("Dir::Cache", path("cache")),
            ("Dir::Etc::sourcelist", path("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::Etc::preferences", "/dev/null".into()),
            ("Dir::Etc::preferencesparts", "/dev/null".into()),
            ("APT::Architecture", self.arch.into()),
            ("APT::Architectures", self.arch.into()),
            ("APT::Get::List-Cleanup", "false".into()),
            ("Acquire::Languages", "none".into()),
            ("Acquire::Retries", "2".into()),
            ("Acquire::http::Timeout", "20".into()),
            ("Acquire::https::Timeout", "20".into()),
        ];
        let options = options
            .into_iter()
            .flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")]);
        Tool::new(program, "apt")
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .args(options)
    }
}

/// Names the URL where fetching failed.
fn archive_error(error: Error) -> Error {
    let Error::Failed { program, reason } = error else {
        return error;
    };
    match fetch_failure(&reason) {
        Some((url, why)) => Error::Archive {
            url: url.to_owned(),
            reason: why.to_owned(),
        },
        None => Error::Failed { program, reason },
    }
}

/// `E: Failed to fetch URL  WHY`, or `E: The repository 'URL SUITE Release' WHY`.
fn fetch_failure(reason: &str) -> Option<(&str, &str)> {
    reason.split("; ").find_map(|part| {
        if let Some(rest) = part.strip_prefix("E: Failed to fetch ") {
            return rest.split_once(' ').map(|(url, why)| (url, why.trim()));
        }
        let rest = part.strip_prefix("E: The repository '")?;
        let (url, why) = rest.split_once("' ")?;
        Some((url, why))
    })
}

/// How to fetch, without the kinds of indices that tools of the host add to it.
fn is_fetching(line: &str) -> bool {
    line.starts_with("Acquire::") && !line.starts_with("Acquire::IndexTargets")
}

/// `Inst NAME (VERSION ORIGIN [ARCH])` of a simulation.
fn installed(line: &str) -> Option<Package> {
    let rest = line.strip_prefix("Inst ")?;
    let (name, rest) = rest.split_once(" (")?;
    let (version, rest) = rest.split_once(' ')?;
    let (_, arch) = rest.split_once('[')?;
    let (arch, _) = arch.split_once(']')?;
    let name = name.split([':', ' ']).next()?;
    format!("{name} {version} {arch}").parse().ok()
}

fn exactly(package: &Package) -> String {
    format!("{}={}", package.name, package.version)
}

fn unknown_packages(error: Error, suite: &str) -> Error {
    let Error::Failed { program, reason } = error else {
        return error;
    };
    let names: Vec<String> = reason.split("; ").filter_map(unknown_package).collect();
    if names.is_empty() {
        return Error::Failed { program, reason };
    }
    Error::UnknownPackages {
        suite: suite.to_owned(),
        names,
    }
}

fn unknown_package(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("E: Unable to locate package ") {
        return Some(name.to_owned());
    }
    let rest = line.strip_prefix("E: Package '")?;
    let (name, rest) = rest.split_once('\'')?;
    rest.contains("no installation candidate")
        .then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("Inst kmod (34.2-2 Debian:13.7/stable [amd64])", "kmod 34.2-2 amd64")]
    #[case(
        "Inst libc6 (2.41-12 Debian:13.7/stable [amd64]) []",
        "libc6 2.41-12 amd64"
    )]
    #[case(
        "Inst adduser (3.152 Debian:13/stable, Debian-Security:13/x [all])",
        "adduser 3.152 all"
    )]
    fn simulated_installation(#[case] line: &str, #[case] package: &str) {
        assert_eq!(installed(line).unwrap().to_string(), package);
    }

    #[test]
    fn failure_to_fetch_names_the_url() {
        let reason = "E: Failed to fetch http://x.invalid/debian/dists/y/InRelease  Could not \
                      resolve 'x.invalid'; E: Some index files failed to download.";
        assert_eq!(
            fetch_failure(reason),
            Some((
                "http://x.invalid/debian/dists/y/InRelease",
                "Could not resolve 'x.invalid'"
            ))
        );
    }

    #[test]
    fn unknown_packages_are_all_named() {
        let error = Error::Failed {
            program: "apt-get".into(),
            reason:
                "E: Unable to locate package foo; E: Package 'bar' has no installation candidate"
                    .into(),
        };
        assert_eq!(
            unknown_packages(error, "trixie").to_string(),
            "Debian `trixie` has no package `foo`, `bar`"
        );
    }
}
