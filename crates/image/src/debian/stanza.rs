//! Stanzas of an archive's package index, as `apt-cache show` prints them.

use crate::lock::Package;

/// One package in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stanza {
    text: String,
}

impl Stanza {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let stanza = Self {
            text: format!("{}\n", text.trim_end()),
        };
        stanza.package().is_some().then_some(stanza)
    }

    /// All stanzas of a text, separated by empty lines.
    pub(super) fn parse_all(text: &str) -> Vec<Self> {
        text.split("\n\n")
            .filter_map(|part| Self::parse(part.trim_start_matches('\n')))
            .collect()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(value.trim())
        })
    }

    pub(super) fn package(&self) -> Option<Package> {
        let words = [
            self.field("Package")?,
            self.field("Version")?,
            self.field("Architecture")?,
        ];
        words.join(" ").parse().ok()
    }

    /// The stanza as an index names a package that lies at `path`.
    pub(super) fn located_at(&self, path: &str) -> String {
        self.text
            .lines()
            .map(|line| match line.starts_with("Filename:") {
                true => format!("Filename: {path}\n"),
                false => format!("{line}\n"),
            })
            .collect()
    }

    /// The parts of a kernel that it needs with it; initramfs generators are none. Newer releases
    /// have the list of what is built in in a `linux-base-VERSION`.
    pub(super) fn kernel_parts(&self) -> Vec<String> {
        const PARTS: [&str; 4] = [
            "linux-image-",
            "linux-modules-",
            "linux-binary-",
            "linux-base-",
        ];
        let depends = self.field("Depends").unwrap_or_default();
        depends
            .split(',')
            .filter_map(|dependency| dependency.split_whitespace().next())
            .filter(|name| PARTS.iter().any(|part| name.starts_with(part)))
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Package: linux-image-cloud-amd64
Version: 6.12.1-1
Architecture: amd64
Depends: linux-image-6.12.1+deb13-cloud-amd64 (= 6.12.1-1), kmod, initramfs-tools | linux-initramfs-tool
Filename: pool/x.deb
SHA256: 00

Package: linux-image-7.2.13+deb14-cloud-amd64
Version: 7.2.13-1
Architecture: amd64
Depends: dracut | linux-initramfs-tool, linux-base-7.2.13+deb14-cloud-amd64 (= 7.2.13-1), linux-binary-7.2.13+deb14-cloud-amd64 (= 7.2.13-1), linux-modules-7.2.13+deb14-cloud-amd64 (= 7.2.13-1), linux-base

Package: login
Version: 1:4.16
Architecture: amd64
";

    #[test]
    fn reads_what_a_build_needs() {
        let stanzas = Stanza::parse_all(TEXT);
        assert_eq!(stanzas.len(), 3);
        assert_eq!(
            stanzas[0].kernel_parts(),
            ["linux-image-6.12.1+deb13-cloud-amd64"]
        );
        assert_eq!(
            stanzas[1].kernel_parts(),
            ["base", "binary", "modules"]
                .map(|part| format!("linux-{part}-7.2.13+deb14-cloud-amd64"))
        );
        assert_eq!(
            stanzas[2].package().unwrap().to_string(),
            "login 1:4.16 amd64"
        );
        assert!(
            stanzas[0]
                .located_at("a.deb")
                .contains("\nFilename: a.deb\n")
        );
    }
}
