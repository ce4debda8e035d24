//! The sources of a guest's packages, as apt writes them.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use spec::guest::Debian;

use super::host::{self, HostArchive, host_archive};
use crate::error::Error;
use crate::process::Tool;

/// Where Debian's own keys are; `apt` of Debian depends on the package.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Suites without updates and security support.
const ROLLING: [&str; 4] = ["sid", "unstable", "experimental", "rc-buggy"];

/// `URI SUITE COMPONENT…` for each source of a suite.
pub(super) fn sources(
    debian: &Debian,
    suite: &str,
    interrupted: &AtomicBool,
) -> Result<Vec<String>, Error> {
    if let Some(mirror) = &debian.mirror {
        let mirror = check_mirror(mirror)?;
        return Ok(vec![format!("{mirror} {suite} main")]);
    }
    let host = host(interrupted)?;
    let components: Vec<&str> = host.components.iter().map(String::as_str).collect();
    let components = components.join(" ");
    let mut sources = vec![format!("{} {suite} {components}", host.main)];
    if !ROLLING.contains(&suite) {
        if host.updates {
            sources.push(format!("{} {suite}-updates {components}", host.main));
        }
        if let Some(security) = host.security {
            sources.push(format!("{security} {suite}-security {components}"));
        }
    }
    Ok(sources)
}

/// What the host's apt knows; before its first update that is only what its sources say.
fn host(interrupted: &AtomicBool) -> Result<HostArchive, Error> {
    for info in [&[][..], &["--no-release-info"]] {
        let targets = Tool::new("apt-get", "apt")
            .arg("indextargets")
            .args(info)
            .args(["--format", host::FORMAT, "Created-By: Packages"])
            .output(interrupted)?;
        if let Some(host) = host_archive(&targets) {
            return Ok(host);
        }
    }
    Err(Error::NoArchive)
}

/// A line of sources.list for one source.
pub(super) fn source_line(source: &str) -> String {
    if Path::new(KEYRING).exists() {
        format!("deb [signed-by={KEYRING}] {source}\n")
    } else {
        format!("deb {source}\n")
    }
}

/// What the guest's own apt reads.
pub(crate) fn guest_sources(sources: &[String]) -> String {
    let mut text = String::new();
    for source in sources {
        let mut words = source.splitn(3, ' ');
        let (uri, suite, components) = (words.next(), words.next(), words.next());
        let uri = uri.unwrap_or_default();
        text.push_str(&format!(
            "Types: deb\nURIs: {uri}\nSuites: {}\nComponents: {}\nSigned-By: {KEYRING}\n\n",
            suite.unwrap_or_default(),
            components.unwrap_or_default(),
        ));
    }
    text
}

/// A source as the lock file and the guest may know it: a mirror's password stays on the host.
pub(super) fn without_password(source: &str) -> String {
    match source.split_once("://") {
        Some((scheme, rest)) => {
            let host_end = rest.find('/').unwrap_or(rest.len());
            let host_start = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host_start..])
        }
        None => source.to_owned(),
    }
}

fn check_mirror(mirror: &str) -> Result<&str, Error> {
    const SCHEMES: [&str; 6] = [
        "http://", "https://", "file:/", "copy:/", "ftp://", "mirror+",
    ];
    let plain =
        !mirror.contains(|c: char| c.is_whitespace() || c.is_control() || "[]\"".contains(c));
    if plain && SCHEMES.iter().any(|scheme| mirror.starts_with(scheme)) {
        Ok(mirror.trim_end_matches('/'))
    } else {
        Err(Error::BadMirror(mirror.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("https://host/debian/", Some("https://host/debian"))]
    #[case("file:/srv/debian", Some("file:/srv/debian"))]
    #[case("host/debian", None)]
    #[case("http://host/debian [trusted=yes]", None)]
    #[case("http://host/debian\ndeb x", None)]
    fn mirrors(#[case] text: &str, #[case] accepted: Option<&str>) {
        assert_eq!(check_mirror(text).ok(), accepted);
    }

    #[test]
    fn guest_learns_no_passwords() {
        let sources = [
            "http://me:secret@host:3142/debian trixie main contrib",
            "http://host/debian-security trixie-security main",
        ];
        let sources: Vec<String> = sources.iter().map(|s| without_password(s)).collect();
        insta::assert_snapshot!(guest_sources(&sources));
    }
}
