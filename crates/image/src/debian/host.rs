//! The Debian archive that this host itself uses, read from what apt says of its sources.

use std::collections::BTreeSet;

/// Fields for `apt-get indextargets --format`; apt leaves the unknown ones as they are.
pub(super) const FORMAT: &str = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(LABEL)";

/// Where the host takes Debian from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostArchive {
    pub(super) main: String,
    pub(super) security: Option<String>,
    /// Whether it takes point-release updates early (`SUITE-updates`).
    pub(super) updates: bool,
    pub(super) components: BTreeSet<String>,
}

/// Finds Debian among the host's sources, one a line in the order of [`FORMAT`].
pub(super) fn host_archive(targets: &str) -> Option<HostArchive> {
    let targets: Vec<Target> = targets.lines().filter_map(Target::parse).collect();
    let main = targets.iter().find(|t| t.is_debian() && !t.is_security())?;
    let security = targets.iter().find(|t| t.is_security());
    let of_main = || targets.iter().filter(|t| t.uri == main.uri);
    Some(HostArchive {
        main: main.uri.to_owned(),
        security: security.map(|t| t.uri.to_owned()),
        updates: of_main().any(|t| t.release.ends_with("-updates")),
        components: of_main().map(|t| t.component.to_owned()).collect(),
    })
}

struct Target<'a> {
    uri: &'a str,
    release: &'a str,
    component: &'a str,
    origin: &'a str,
    label: &'a str,
}

impl<'a> Target<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let [uri, release, component, origin, label] =
            line.split('|').collect::<Vec<_>>().try_into().ok()?;
        Some(Self {
            uri: uri.trim_end_matches('/'),
            release,
            component,
            origin,
            label,
        })
    }

    /// Before the first `apt update` nothing but the URL tells.
    fn is_debian(&self) -> bool {
        let known = self.origin == "Debian";
        let guessed =
            self.origin.starts_with("$(") && (self.uri.ends_with("/debian") || self.is_security());
        (known || guessed) && !self.release.contains("backports")
    }

    fn is_security(&self) -> bool {
        self.label == "Debian-Security"
            || self.label.starts_with("$(")
                && (self.uri.ends_with("/debian-security") || self.release.contains("/updates"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATED: &str = "\
https://packages.example/apt/|cloud|main|Example|Example
http://mirror.example/debian/|bookworm|main|Debian|Debian
http://mirror.example/debian/|bookworm|contrib|Debian|Debian
http://mirror.example/debian/|bookworm-updates|main|Debian|Debian
http://mirror.example/debian-security/|bookworm-security|main|Debian|Debian-Security
";

    #[test]
    fn finds_main_security_and_updates() {
        let found = host_archive(UPDATED).unwrap();
        assert_eq!(found.main, "http://mirror.example/debian");
        assert_eq!(
            found.security.as_deref(),
            Some("http://mirror.example/debian-security")
        );
        assert!(found.updates);
        assert_eq!(Vec::from_iter(found.components), ["contrib", "main"]);
    }

    #[test]
    fn guesses_before_the_first_update() {
        let lines = "http://m/debian/|trixie|main|$(ORIGIN)|$(LABEL)\n\
                     http://m/debian-security/|trixie-security|main|$(ORIGIN)|$(LABEL)\n";
        let found = host_archive(lines).unwrap();
        assert_eq!(found.main, "http://m/debian");
        assert_eq!(found.security.as_deref(), Some("http://m/debian-security"));
        assert!(!found.updates);
    }

    #[test]
    fn another_distribution_is_not_debian() {
        assert_eq!(
            host_archive("http://archive.example/ubuntu/|noble|main|Ubuntu|Ubuntu\n"),
            None
        );
    }
}
