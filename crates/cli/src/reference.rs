//! References: `SOURCE#NAME`, written as Nix writes flake references.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::registry::Registry;

/// A source and, where one is named, a VM of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub source: Source,
    pub name: Option<String>,
}

/// Where definitions live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The examples that ship with the program.
    BuiltIn,
    /// A directory, or a definition file, as written.
    Path(PathBuf),
    Git(GitSource),
    /// A short name, to be looked up in the registry.
    Registry(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    pub url: String,
    /// Branch or tag.
    pub reference: Option<String>,
    pub revision: Option<String>,
    /// Directory in the repository.
    pub directory: Option<PathBuf>,
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAReference {
    text: String,
    why: &'static str,
}

impl fmt::Display for NotAReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a reference: {}; accepted are `.#NAME`, `./DIR#NAME`, `/DIR#NAME`, \
             `path:/DIR#NAME`, `git+file:///DIR#NAME`, `git+https://…#NAME`, \
             `github:OWNER/REPO#NAME` and a name of the registry",
            self.text, self.why
        )
    }
}

impl std::error::Error for NotAReference {}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let (source, name) = match text.split_once('#') {
            Some((source, name)) => (source, Some(name)),
            None => (text, None),
        };
        let refuse = |why| NotAReference {
            text: text.to_owned(),
            why,
        };
        if name.is_some_and(str::is_empty) {
            return Err(refuse("there is no name after `#`"));
        }
        Ok(Self {
            source: Source::parse(source).map_err(refuse)?,
            name: name.map(str::to_owned),
        })
    }
}

impl Source {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('\0') || text.contains('\n') {
            return Err("it contains a control character");
        }
        if text.is_empty() {
            return Ok(Self::Path(PathBuf::from(".")));
        }
        if let Some(path) = text.strip_prefix("path:") {
            return Ok(Self::Path(PathBuf::from(path)));
        }
        if let Some(rest) = text.strip_prefix("git+") {
            return GitSource::parse(rest).map(Self::Git);
        }
        if let Some(rest) = text.strip_prefix("github:") {
            return GitSource::github(rest).map(Self::Git);
        }
        if text.starts_with(['.', '/', '~']) || text.contains('/') {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        if text.contains(':') {
            return Err("its scheme is not known");
        }
        if Registry::is_name(text) {
            return Ok(Self::Registry(text.to_owned()));
        }
        Err("it is neither a path nor a name")
    }
}

impl GitSource {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (url, query) = text.split_once('?').unwrap_or((text, ""));
        if !["file:///", "https://", "ssh://", "http://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(
                "git sources are `git+file:///`, `git+https://`, `git+http://` or `git+ssh://`",
            );
        }
        let mut source = Self {
            url: url.to_owned(),
            reference: None,
            revision: None,
            directory: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("ref", value)) => source.reference = Some(safe_ref(value)?),
                Some(("rev", value)) => source.revision = Some(revision(value)?),
                Some(("dir", value)) => source.directory = Some(inner_path(value)?),
                _ => return Err("after `?` only `ref=`, `rev=` and `dir=` are known"),
            }
        }
        Ok(source)
    }

    fn github(text: &str) -> Result<Self, &'static str> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parts = path.splitn(3, '/');
        let (Some(owner), Some(repo)) = (parts.next(), parts.next()) else {
            return Err("a repository is `github:OWNER/REPO` or `github:OWNER/REPO/REF`");
        };
        let word = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['-', '.'])
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !word(owner) || !word(repo) {
            return Err("owner and repository are letters, digits, `-`, `_` and `.`");
        }
        let mut source = Self::parse(&format!("https://github.com/{owner}/{repo}?{query}"))?;
        if let Some(reference) = parts.next() {
            source.reference = Some(safe_ref(reference)?);
        }
        Ok(source)
    }
}

/// A branch or tag that git cannot take for an option.
fn safe_ref(text: &str) -> Result<String, &'static str> {
    if text.is_empty()
        || text.starts_with('-')
        || text
            .bytes()
            .any(|b| b.is_ascii_whitespace() || b.is_ascii_control())
    {
        return Err("`ref` is the name of a branch or tag");
    }
    Ok(text.to_owned())
}

fn revision(text: &str) -> Result<String, &'static str> {
    if matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err("`rev` is a full commit hash")
    }
}

/// A relative path that stays inside the repository.
fn inner_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    if path.components().all(|part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    }) {
        Ok(path.to_owned())
    } else {
        Err("`dir` is a directory inside the repository")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("microvm"),
            Self::Path(path) => path.display().fmt(f),
            Self::Registry(name) => f.write_str(name),
            Self::Git(git) => git.fmt(f),
        }
    }
}

impl fmt::Display for GitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "git+{}", self.url)?;
        let parameters = [
            ("ref", self.reference.clone()),
            ("rev", self.revision.clone()),
            (
                "dir",
                self.directory.as_ref().map(|dir| dir.display().to_string()),
            ),
        ];
        let mut separator = '?';
        for (key, value) in parameters {
            if let Some(value) = value {
                write!(f, "{separator}{key}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(".", Source::Path(".".into()), None)]
    #[case(".#web", Source::Path(".".into()), Some("web"))]
    #[case("#web", Source::Path(".".into()), Some("web"))]
    #[case("./dir#a", Source::Path("./dir".into()), Some("a"))]
    #[case("path:/abs#a", Source::Path("/abs".into()), Some("a"))]
    #[case("dir/sub", Source::Path("dir/sub".into()), None)]
    #[case("microvm#qemu-example", Source::Registry("microvm".into()), Some("qemu-example"))]
    fn paths_and_names(#[case] text: &str, #[case] source: Source, #[case] name: Option<&str>) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(
            reference,
            Reference {
                source,
                name: name.map(str::to_owned)
            }
        );
    }

    #[rstest]
    #[case("git+file:///srv/repo?ref=main#web", "git+file:///srv/repo?ref=main")]
    #[case(
        "git+https://example.org/r.git?dir=vms&ref=v1",
        "git+https://example.org/r.git?ref=v1&dir=vms"
    )]
    #[case("github:owner/repo/v2", "git+https://github.com/owner/repo?ref=v2")]
    fn git(#[case] text: &str, #[case] shown: &str) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.source.to_string(), shown);
    }

    #[rstest]
    #[case(".#")]
    #[case("git+ext::sh#x")]
    #[case("github:owner")]
    #[case("github:-o/repo")]
    #[case("git+https://h/r?ref=--upload-pack=x")]
    #[case("git+https://h/r?dir=../..")]
    #[case("git+https://h/r?rev=abc")]
    #[case("nope:thing")]
    #[case("a b")]
    fn refused(#[case] text: &str) {
        assert!(text.parse::<Reference>().is_err());
    }
}
