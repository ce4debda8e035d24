//! One text for all hypervisors.

use crate::hypervisors::Hypervisor;

pub const GUEST: &str = include_str!("guest.toml");

/// A guest of the suite; each runs once at a time, for its addresses are the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Differs between hypervisors in `hypervisor` alone.
    Plain,
    /// Has beside that what the table says that the hypervisor can.
    Devices,
}

/// The context identifier of [`Guest::Devices`].
pub const CID: u32 = 75;

/// `mem` of the definition.
pub const MEM_MIB: u64 = 256;

impl Guest {
    pub const ALL: [Self; 2] = [Self::Plain, Self::Devices];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Devices => "devices",
        }
    }

    /// What `host.toml` gives the MAC address that ends in [`Self::number`].
    pub fn address(self) -> &'static str {
        match self {
            Self::Plain => "10.75.0.2",
            Self::Devices => "10.75.0.3",
        }
    }

    fn number(self) -> &'static str {
        match self {
            Self::Plain => "02",
            Self::Devices => "03",
        }
    }
}

/// The definition file of a hypervisor.
pub fn text(hypervisor: &Hypervisor) -> String {
    let one = |guest: Guest| {
        let devices = match guest {
            Guest::Plain => String::new(),
            Guest::Devices => devices(hypervisor),
        };
        GUEST
            .replace("@hypervisor@", &hypervisor.name)
            .replace("@name@", guest.name())
            .replace("@number@", guest.number())
            .replace("@devices@", &devices)
    };
    Guest::ALL.into_iter().map(one).collect()
}

fn devices(hypervisor: &Hypervisor) -> String {
    let mut lines = String::new();
    if let Some(proto) = share(hypervisor) {
        lines += &format!(
            "shares = [{{ tag = \"shared\", source = \"shared\", mountPoint = \"/mnt/shared\", \
             proto = \"{proto}\" }}]\n"
        );
    }
    if hypervisor.has("balloon") {
        lines += "balloon = true\n";
        if !hypervisor.has("balloon that shrinks when memory runs out") {
            lines += "deflateOnOOM = false\n";
        }
    }
    if hypervisor.has("vsock") {
        lines += &format!("vsock.cid = {CID}\n");
    }
    lines
}

/// How it shares a directory, if it can.
pub fn share(hypervisor: &Hypervisor) -> Option<&'static str> {
    [("virtiofs shares", "virtiofs"), ("9p shares", "9p")]
        .into_iter()
        .find_map(|(feature, proto)| hypervisor.has(feature).then_some(proto))
}
