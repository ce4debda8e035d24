//! `/microvm.conf` of the initrd: what to load, what to wait for and what to mount.
//!
//! One statement a line, words separated by a space; white space, control characters and `%` in a
//! word are written `%XX`. `-` stands for an absent serial number.

use crate::words::{line, unescape};

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
    pub leave: Leave,
    pub agent: Option<Agent>,
    /// A disk with the guest's credentials, in the format of [`crate::credentials`].
    pub credentials: Option<DiskRef>,
    /// Whether the guest may be without an init: then [`crate::entry::FILE`] says what it runs.
    pub may_have_entry: bool,
    /// Whether the host can have commands run over vsock; see [`crate::exec`].
    pub commands: Option<Commands>,
}

/// From which ports of the host's vsock commands are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commands {
    /// The hypervisor gives all; who may reach its socket is the host's own matter.
    Any,
    /// Those that only root can have.
    Reserved,
}

/// How the guest has to end for its hypervisor to end with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leave {
    /// The hypervisor ends after a power-off and after a reset.
    #[default]
    AsAsked,
    /// Only after a reset.
    Reset,
    /// Only after a power-off; a reset starts the guest again.
    PowerOff,
}

/// What the agent of the guest listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// Name of a serial port, such as `ttyS1`.
    Serial(String),
    /// Name of a virtio-serial port.
    Port(String),
    /// Port of AF_VSOCK.
    Vsock(u32),
    /// The power button, for guests that do not look at it themselves.
    Button,
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
        line(&mut text, &["leave", self.leave.as_str()]);
        if let Some(agent) = &self.agent {
            let [kind, name] = agent.words();
            line(&mut text, &["agent", &kind, &name]);
        }
        if let Some(disk) = &self.credentials {
            let [index, serial] = disk.words();
            line(&mut text, &["credentials", &index, &serial]);
        }
        if self.may_have_entry {
            line(&mut text, &["entry"]);
        }
        if let Some(commands) = self.commands {
            line(&mut text, &["commands", commands.word()]);
        }
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
            leave: parsed.leave.ok_or(ConfigError::Missing("leave"))?,
            agent: parsed.agent,
            credentials: parsed.credentials,
            may_have_entry: parsed.entry,
            commands: parsed.commands,
            modules: parsed.modules,
            mounts: parsed.mounts,
        })
    }
}

impl Leave {
    const ALL: [Self; 3] = [Self::AsAsked, Self::Reset, Self::PowerOff];

    /// `as-asked`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsAsked => "as-asked",
            Self::Reset => "reset",
            Self::PowerOff => "power-off",
        }
    }

    /// Reads what [`Leave::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|leave| leave.as_str() == text)
    }
}

impl Commands {
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Reserved => "reserved",
        }
    }

    /// Reads what [`Commands::word`] gives.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Any, Self::Reserved]
            .into_iter()
            .find(|commands| commands.word() == word)
    }
}

impl Agent {
    /// Kind and name, which [`Agent::parse`] reads back.
    pub fn words(&self) -> [String; 2] {
        let (kind, name) = match self {
            Self::Serial(name) => ("serial", name.clone()),
            Self::Port(name) => ("port", name.clone()),
            Self::Vsock(port) => ("vsock", port.to_string()),
            Self::Button => ("button", "power".to_owned()),
        };
        [kind.to_owned(), name]
    }

    /// Reads what [`Agent::words`] gives.
    pub fn parse(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "serial" => Some(Self::Serial(name.to_owned())),
            "port" => Some(Self::Port(name.to_owned())),
            "vsock" => Some(Self::Vsock(name.parse().ok()?)),
            "button" => (name == "power").then_some(Self::Button),
            _ => None,
        }
    }
}

impl DiskRef {
    fn words(&self) -> [std::borrow::Cow<'_, str>; 2] {
        let serial = self.serial.as_deref().unwrap_or("-");
        [self.index.to_string().into(), serial.into()]
    }

    fn parse(index: &str, serial: &str) -> Option<Self> {
        Some(Self {
            index: index.parse().ok()?,
            serial: (serial != "-").then(|| serial.to_owned()),
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
    leave: Option<Leave>,
    agent: Option<Agent>,
    credentials: Option<DiskRef>,
    entry: bool,
    commands: Option<Commands>,
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
            ["leave", how] => self.leave = Some(Leave::parse(how)?),
            ["agent", kind, name] => self.agent = Some(Agent::parse(kind, name)?),
            ["credentials", index, serial] => {
                self.credentials = Some(DiskRef::parse(index, serial)?);
            }
            ["entry"] => self.entry = true,
            ["commands", word] => self.commands = Some(Commands::parse(word)?),
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
            disk: DiskRef::parse(index, serial)?,
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
    let [index, serial] = disk.words();
    line(text, &[head, &["disk", &index, &serial, fs_type]].concat());
}

#[cfg(test)]
mod tests;
