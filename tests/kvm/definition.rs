//! One text for all hypervisors.

use crate::hypervisors::Hypervisor;

const GUEST: &str = include_str!("guest.toml");

/// A guest of the suite; each runs once at a time, for its addresses are the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Differs between hypervisors in `hypervisor` alone.
    Plain,
    /// Has beside that what the table says that the hypervisor can.
    Devices,
    /// Has two processors, and so the queues that the hypervisor gives to each; huge pages and a
    /// macvtap interface, where it can have those.
    Wide,
}

/// The context identifier of [`Guest::Devices`].
pub const CID: u32 = 75;

/// A credential of [`Guest::Devices`], in the KVM host.
pub const TOKEN: &str = "/run/token";

/// What the macvtap interface of [`Guest::Wide`] is attached to, and its address.
pub const MACVTAP_LINK: &str = "wide0";
pub const MACVTAP_MAC: &str = "02:00:00:00:4c:14";

/// `mem` of the definition.
pub const MEM_MIB: u64 = 256;

impl Guest {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Devices, Self::Wide];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Devices => "devices",
            Self::Wide => "wide",
        }
    }

    /// What `host.toml` gives the MAC address that ends in [`Self::number`].
    pub fn address(self) -> &'static str {
        match self {
            Self::Plain => "10.75.0.2",
            Self::Devices => "10.75.0.3",
            Self::Wide => "10.75.0.4",
        }
    }

    fn number(self) -> &'static str {
        match self {
            Self::Plain => "02",
            Self::Devices => "03",
            Self::Wide => "04",
        }
    }
}

/// The definition file of a hypervisor.
pub fn text(hypervisor: &Hypervisor) -> String {
    let one = |guest: Guest| {
        let more = More {
            interfaces: more_interfaces(hypervisor, guest),
            volumes: more_volumes(guest),
            devices: match guest {
                Guest::Plain => String::new(),
                Guest::Devices => devices(hypervisor),
                Guest::Wide => wide(hypervisor),
            },
        };
        filled(&hypervisor.name, guest.name(), guest.number(), &more)
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
    if hypervisor.has("credentials for the guest") {
        lines += &format!("credentialFiles.token = \"{TOKEN}\"\n");
    }
    lines += "writableStoreOverlay = \"/overlay\"\n";
    lines
}

fn more_volumes(guest: Guest) -> &'static str {
    match guest {
        Guest::Devices => {
            ", { image = \"overlay.img\", mountPoint = \"/overlay\", size = 64, fsType = \"ext4\" }"
        }
        Guest::Plain | Guest::Wide => "",
    }
}

/// What a guest has beside what all have.
#[derive(Default)]
pub struct More {
    interfaces: String,
    volumes: &'static str,
    devices: String,
}

/// The definition of one; `number` ends its MAC address.
pub fn filled(hypervisor: &str, name: &str, number: &str, more: &More) -> String {
    GUEST
        .replace("@more-interfaces@", &more.interfaces)
        .replace("@more-volumes@", more.volumes)
        .replace("@devices@", &more.devices)
        .replace("@hypervisor@", hypervisor)
        .replace("@name@", name)
        .replace("@number@", number)
}

fn wide(hypervisor: &Hypervisor) -> String {
    let mut lines = "vcpu = 2\n".to_owned();
    if hypervisor.has("huge pages") {
        lines += "hugepageMem = true\n";
    }
    lines
}

fn more_interfaces(hypervisor: &Hypervisor, guest: Guest) -> String {
    if guest != Guest::Wide || !hypervisor.has("macvtap interfaces") {
        return String::new();
    }
    format!(
        ", {{ type = \"macvtap\", id = \"mv-{}\", mac = \"{MACVTAP_MAC}\", \
         macvtap = {{ link = \"{MACVTAP_LINK}\", mode = \"bridge\" }} }}",
        guest.name()
    )
}

/// How it shares a directory, if it can.
pub fn share(hypervisor: &Hypervisor) -> Option<&'static str> {
    [("virtiofs shares", "virtiofs"), ("9p shares", "9p")]
        .into_iter()
        .find_map(|(feature, proto)| hypervisor.has(feature).then_some(proto))
}
