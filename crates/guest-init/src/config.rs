//! `/microvm.conf` of the initrd: what to load, what to wait for and what to mount.
//!
//! One statement a line, words separated by a space; white space, control characters and `%` in a
//! word are written `%XX`. `-` stands for an absent serial number.

use std::fmt::Write;

/// Where the configuration is in the initrd.
pub const FILE: &str = "/microvm.conf";

/// What guest-init does before it hands over to the guest's own init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootConfig {
    pub hostname: String,
    /// Files under `/modules` of the initrd, in the order in which they are loaded.
    pub modules: Vec<String>,
    pub root: Root,
    /// Where writes to the root go.
    pub overlay: Overlay,
    /// Parents before children.
    pub mounts: Vec<Mount>,
    /// The guest's init, normally `/sbin/init`.
    pub init: String,
    pub device_timeout_secs: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    Disk { disk: DiskRef, fs_type: String },
    Share { tag: String, proto: ShareProto },
}

/// A virtio disk: by serial number where the hypervisor gives it one, else by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskRef {
    pub serial: Option<String>,
    /// 0 is `/dev/vda`.
    pub index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareProto {
    NineP,
    Virtiofs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    Tmpfs,
    /// `store` and `work` below this mount point, which is one of `mounts`.
    At(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub what: What,
    pub mount_point: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Disk { disk: DiskRef, fs_type: String },
    Share { tag: String, proto: ShareProto },
}

/// A line that is not a statement, or a statement that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    Line { number: usize, text: String },
    Missing(&'static str),
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line { number, text } => {
                write!(f, "Line {number} of `{FILE}` is not understood: `{text}`")
            }
            Self::Missing(key) => write!(f, "`{FILE}` has no `{key}`"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl BootConfig {
    /// The text that [`BootConfig::parse`] reads back.
    pub fn render(&self) -> String {
        let mut text = String::new();
        line(&mut text, &["hostname", &self.hostname]);
        line(&mut text, &["init", &self.init]);
        line(
            &mut text,
            &["timeout", &self.device_timeout_secs.to_string()],
        );
        for module in &self.modules {
            line(&mut text, &["module", module]);
        }
        match &self.root {
            Root::Disk { disk, fs_type } => render_disk(&mut text, &["root"], disk, fs_type),
            Root::Share { tag, proto } => line(&mut text, &["root", "share", proto.fs_type(), tag]),
        }
        match &self.overlay {
            Overlay::Tmpfs => line(&mut text, &["overlay", "tmpfs"]),
            Overlay::At(path) => line(&mut text, &["overlay", "at", path]),
        }
        for mount in &self.mounts {
            let access = if mount.read_only { "ro" } else { "rw" };
            let head = ["mount", access, &mount.mount_point];
            match &mount.what {
                What::Disk { disk, fs_type } => render_disk(&mut text, &head, disk, fs_type),
                What::Share { tag, proto } => {
                    line(
                        &mut text,
                        &[&head[..], &["share", proto.fs_type(), tag]].concat(),
                    );
                }
            }
        }
        text
    }

    /// Reads what [`BootConfig::render`] wrote.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut parsed = Parsed::default();
        for (index, text) in text.lines().enumerate() {
            parsed.statement(text).ok_or_else(|| ConfigError::Line {
                number: index + 1,
                text: text.to_owned(),
            })?;
        }
        Ok(Self {
            hostname: parsed.hostname.ok_or(ConfigError::Missing("hostname"))?,
            init: parsed.init.ok_or(ConfigError::Missing("init"))?,
            device_timeout_secs: parsed.timeout.ok_or(ConfigError::Missing("timeout"))?,
            root: parsed.root.ok_or(ConfigError::Missing("root"))?,
            overlay: parsed.overlay.ok_or(ConfigError::Missing("overlay"))?,
            modules: parsed.modules,
            mounts: parsed.mounts,
        })
    }
}

impl ShareProto {
    /// As mount(2) has it.
    pub fn fs_type(self) -> &'static str {
        match self {
            Self::NineP => "9p",
            Self::Virtiofs => "virtiofs",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::NineP, Self::Virtiofs]
            .into_iter()
            .find(|proto| proto.fs_type() == text)
    }
}

#[derive(Default)]
struct Parsed {
    hostname: Option<String>,
    init: Option<String>,
    timeout: Option<u32>,
    root: Option<Root>,
    overlay: Option<Overlay>,
    modules: Vec<String>,
    mounts: Vec<Mount>,
}

impl Parsed {
    fn statement(&mut self, text: &str) -> Option<()> {
        let words = text.split(' ').map(unescape).collect::<Option<Vec<_>>>()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["hostname", name] => self.hostname = Some(name.to_owned()),
            ["init", path] => self.init = Some(path.to_owned()),
            ["timeout", seconds] => self.timeout = Some(seconds.parse().ok()?),
            ["module", file] => self.modules.push(file.to_owned()),
            ["overlay", "tmpfs"] => self.overlay = Some(Overlay::Tmpfs),
            ["overlay", "at", path] => self.overlay = Some(Overlay::At(path.to_owned())),
            ["root", ref what @ ..] => {
                self.root = Some(match parse_what(what)? {
                    What::Disk { disk, fs_type } => Root::Disk { disk, fs_type },
                    What::Share { tag, proto } => Root::Share { tag, proto },
                });
            }
            ["mount", access @ ("ro" | "rw"), mount_point, ref what @ ..] => {
                self.mounts.push(Mount {
                    what: parse_what(what)?,
                    mount_point: mount_point.to_owned(),
                    read_only: access == "ro",
                });
            }
            _ => return None,
        }
        Some(())
    }
}

fn parse_what(words: &[&str]) -> Option<What> {
    match *words {
        ["disk", index, serial, fs_type] => Some(What::Disk {
            disk: DiskRef {
                index: index.parse().ok()?,
                serial: (serial != "-").then(|| serial.to_owned()),
            },
            fs_type: fs_type.to_owned(),
        }),
        ["share", proto, tag] => Some(What::Share {
            proto: ShareProto::parse(proto)?,
            tag: tag.to_owned(),
        }),
        _ => None,
    }
}

fn render_disk(text: &mut String, head: &[&str], disk: &DiskRef, fs_type: &str) {
    let index = disk.index.to_string();
    let serial = disk.serial.as_deref().unwrap_or("-");
    line(text, &[head, &["disk", &index, serial, fs_type]].concat());
}

fn line(text: &mut String, words: &[&str]) {
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        escape(text, word);
    }
    text.push('\n');
}

fn escape(text: &mut String, word: &str) {
    for c in word.chars() {
        if c == '%' || c.is_whitespace() || c.is_control() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(text, "%{byte:02x}");
            }
        } else {
            text.push(c);
        }
    }
}

fn unescape(word: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn config() -> BootConfig {
        BootConfig {
            hostname: "web".to_owned(),
            modules: vec!["virtio_ring.ko".to_owned(), "virtio.ko".to_owned()],
            root: Root::Disk {
                disk: DiskRef {
                    serial: Some("store".to_owned()),
                    index: 0,
                },
                fs_type: "erofs".to_owned(),
            },
            overlay: Overlay::At("/nix/.rw-store".to_owned()),
            mounts: vec![
                Mount {
                    what: What::Disk {
                        disk: DiskRef {
                            serial: None,
                            index: 1,
                        },
                        fs_type: "ext4".to_owned(),
                    },
                    mount_point: "/a b%\u{a0}/\u{e9}".to_owned(),
                    read_only: true,
                },
                Mount {
                    what: What::Share {
                        tag: "t".to_owned(),
                        proto: ShareProto::NineP,
                    },
                    mount_point: "/mnt".to_owned(),
                    read_only: false,
                },
            ],
            init: "/sbin/init".to_owned(),
            device_timeout_secs: 30,
        }
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let config = config();
        assert_eq!(BootConfig::parse(&config.render()), Ok(config));
    }

    #[rstest]
    #[case("hostname\n", 1)]
    #[case("nonsense x\n", 1)]
    #[case("hostname a\nroot disk x - erofs\n", 2)]
    #[case("mount rw /x disk 1 -\n", 1)]
    #[case("module %4\n", 1)]
    fn a_wrong_line_is_named(#[case] text: &str, #[case] number: usize) {
        let error = BootConfig::parse(text).unwrap_err();
        assert!(
            matches!(error, ConfigError::Line { number: n, .. } if n == number),
            "{error}"
        );
    }

    #[test]
    fn a_missing_statement_is_named() {
        let text = config().render().replace("overlay at /nix/.rw-store\n", "");
        assert_eq!(
            BootConfig::parse(&text),
            Err(ConfigError::Missing("overlay"))
        );
    }
}
