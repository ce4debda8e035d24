//! Reads what a hypervisor said before it failed, for a clearer message than its own.

mod rust;

use crate::kind::Kind;

/// A failure that is known by its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    PortTaken { port: String },
    ImageInUse { said: String },
    NoMemory,
    NoFile { path: String },
    Denied { path: String },
    Interface { said: String },
    Image { path: String },
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PortTaken { port } => {
                write!(f, "Port {port} of the host is taken by another program")
            }
            Self::ImageInUse { said } => {
                write!(f, "An image is in use by another hypervisor: {said}")
            }
            Self::NoMemory => f.write_str("The host has not enough memory for the guest"),
            Self::NoFile { path } => write!(f, "The hypervisor misses the file `{path}`"),
            Self::Denied { path } => write!(f, "The hypervisor may not open `{path}`"),
            Self::Interface { said } => {
                write!(f, "A network interface cannot be used: {said}")
            }
            Self::Image { path } => write!(f, "The hypervisor cannot use the image `{path}`"),
        }
    }
}

impl Cause {
    pub fn kind(&self) -> Kind {
        match self {
            Self::PortTaken { .. } | Self::ImageInUse { .. } => Kind::Busy,
            Self::NoMemory => Kind::Hypervisor,
            Self::NoFile { .. } => Kind::NotFound,
            Self::Denied { .. } | Self::Interface { .. } | Self::Image { .. } => Kind::Missing,
        }
    }

    /// The first line that is understood.
    pub fn of(said: &str) -> Option<Self> {
        rust::firecracker(said)
            .or_else(|| rust::cloud_hypervisor(said))
            .or_else(|| said.lines().find_map(Self::of_line))
    }

    fn of_line(line: &str) -> Option<Self> {
        if line.contains("Could not set up host forwarding rule") {
            let port = port_of_rule(between(line, "rule '", "'")?)?;
            return Some(Self::PortTaken { port });
        }
        if line.contains("Failed to get") && line.contains("lock") {
            return Some(Self::ImageInUse {
                said: last_line(line),
            });
        }
        if line.contains("Cannot allocate memory") || line.ends_with("Fatal: out of memory") {
            return Some(Self::NoMemory);
        }
        if line.contains("/dev/net/tun") || line.contains("bridge helper failed") {
            return Some(Self::Interface {
                said: last_line(line),
            });
        }
        if line.contains("creation of one has failed because") {
            let said = last_line(line);
            return Some(Self::Interface { said });
        }
        if let Some(path) = between(line, "Loading disk image '", "' failed") {
            let path = path.to_owned();
            return Some(Self::Image { path });
        }
        let path = || between(line, "Could not open '", "'").map(str::to_owned);
        if line.ends_with("No such file or directory") {
            return Some(Self::NoFile { path: path()? });
        }
        if line.ends_with("Permission denied") {
            return Some(Self::Denied { path: path()? });
        }
        None
    }
}

/// `tcp:127.0.0.1:2222-:22` has the port 2222.
fn port_of_rule(rule: &str) -> Option<String> {
    let host = rule.split_once('-')?.0;
    Some(host.rsplit(':').next()?.to_owned())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?
        .1
        .split_once(end)
        .map(|(inside, _)| inside)
}

/// What a hypervisor said last, with the causes that crosvm and Cloud Hypervisor give in
/// lines of their own.
pub fn summary(said: &str) -> String {
    if let Some(chain) = rust::chain(said) {
        return chain;
    }
    let Some((_, reason)) = said.rsplit_once("ERROR crosvm] exiting with error ") else {
        return last_line(said);
    };
    let mut lines = reason.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = first.split_once(": ").map_or(first, |(_, rest)| rest);
    let causes = lines
        .skip_while(|line| *line != "Caused by:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| match line.split_once(": ") {
            Some((number, rest)) if number.parse::<u8>().is_ok() => rest,
            _ => line,
        });
    std::iter::once(first)
        .chain(causes)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Last line that says something, without the program's name before it; of an error with causes
/// under it, as StratoVirt prints them, the last two; of an error with the usage under it, as
/// `mkfs.xfs` prints it, the error.
pub fn last_line(said: &str) -> String {
    if let Some((_, causes)) = said.rsplit_once("Caused by:") {
        return last_causes(causes);
    }
    // lkvm's last, after the one that says why.
    let says_nothing = |line: &str| line.is_empty() || line == "Fatal: Initialisation failed";
    let said = said
        .split_once("\nUsage: ")
        .map_or(said, |(error, _)| error);
    let line = said
        .lines()
        .rev()
        .find(|line| !says_nothing(line.trim()))
        .unwrap_or("");
    let line = line.trim();
    match line.split_once(": ") {
        Some((program, rest)) if !program.contains(' ') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

fn last_causes(causes: &str) -> String {
    let lines = causes.lines().map(str::trim);
    let lines = lines.take_while(|line| !line.starts_with("Stack backtrace"));
    let causes: Vec<&str> = lines
        .filter(|line| !line.is_empty())
        .map(|line| match line.split_once(": ") {
            Some((number, cause)) if number.parse::<u32>().is_ok() => cause,
            _ => line,
        })
        .collect();
    causes[causes.len().saturating_sub(2)..].join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_with_causes_the_last_two_are_told() {
        let said = "2026-11-25T14:55:22.1: [1][1][src/main.rs:101]:ERROR: Failed to realize standard VM.\n\nCaused by:\n    0: add vhost-vsock-pci fail.\n    1: Failed to open /dev/vhost-vsock for vhost backend.\n    2: No such file or directory (os error 2)\n\nStack backtrace:\n   0: <unknown>\n";
        assert_eq!(
            last_line(said),
            "Failed to open /dev/vhost-vsock for vhost backend.: No such file or directory (os error 2)"
        );
    }

    #[rstest::rstest]
    #[case(
        "qemu-system-x86_64: -netdev user,id=a,hostfwd=tcp::2222-:22: Could not set up host forwarding rule 'tcp::2222-:22'",
        "Port 2222 of the host is taken by another program"
    )]
    #[case(
        "microvm@web: -netdev x: Could not set up host forwarding rule 'udp:127.0.0.1:53-10.0.2.15:53'\nmore",
        "Port 53 of the host is taken by another program"
    )]
    #[case(
        "qemu-system-x86_64: -drive file=a.img: Failed to get \"write\" lock\nIs another process using the image [a.img]?",
        "An image is in use by another hypervisor: -drive file=a.img: Failed to get \"write\" lock"
    )]
    #[case(
        "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
        "The host has not enough memory for the guest"
    )]
    #[case(
        "qemu-system-x86_64: -drive file=/x y.img: Could not open '/x y.img': No such file or directory",
        "The hypervisor misses the file `/x y.img`"
    )]
    #[case(
        "qemu-system-x86_64: could not configure /dev/net/tun (vm-a): Device or resource busy",
        "A network interface cannot be used: could not configure /dev/net/tun (vm-a): Device or resource busy"
    )]
    #[case(
        "  Error: Loading disk image './x.img' failed\n  Fatal: Initialisation failed",
        "The hypervisor cannot use the image `./x.img`"
    )]
    #[case(
        "  Fatal: out of memory",
        "The host has not enough memory for the guest"
    )]
    #[case(
        "  Warning: Config tap device error. Are you root?\nYou have requested a TAP device, but creation of one has failed because: Device or resource busy",
        "A network interface cannot be used: You have requested a TAP device, but creation of one has failed because: Device or resource busy"
    )]
    fn known_failures(#[case] said: &str, #[case] expected: &str) {
        assert_eq!(Cause::of(said).unwrap().to_string(), expected);
    }

    #[rstest::rstest]
    #[case(
        "[2026-11-25T14:40:45.95+00:00 ERROR crosvm] exiting with error 1: open_disk_file failed\n\nCaused by:\n    failed to open disk file \"none.img\": No such file or directory (os error 2)\n",
        "open_disk_file failed: failed to open disk file \"none.img\": No such file or directory (os error 2)"
    )]
    #[case(
        "x\n[2026-11-25T14:40:46.46+00:00 ERROR crosvm] exiting with error 1: failed to create virtio device\n\nCaused by:\n    0: failed to open virtual socket device /dev/vhost-vsock\n    1: No such file or directory (os error 2)\n",
        "failed to create virtio device: failed to open virtual socket device /dev/vhost-vsock: No such file or directory (os error 2)"
    )]
    #[case(
        "[2026-11-25T14:40:46.25+00:00 ERROR crosvm] exiting with error 1: \"/nope\" is not a directory, cannot create jail\n",
        "\"/nope\" is not a directory, cannot create jail"
    )]
    #[case(
        "  Error: KVM_CREATE_VM ioctl\n  Fatal: Initialisation failed\n",
        "KVM_CREATE_VM ioctl"
    )]
    fn causes_are_told(#[case] said: &str, #[case] expected: &str) {
        assert_eq!(summary(said), expected);
    }

    #[test]
    fn other_words_are_quoted_without_the_program() {
        assert_eq!(Cause::of("qemu: odd\n"), None);
        assert_eq!(
            last_line("first\nqemu-system-x86_64: -foo: invalid option\n\n"),
            "-foo: invalid option"
        );
        assert_eq!(last_line(""), "");
        assert_eq!(
            last_line(
                "Filesystem must be larger than 300MB.\nUsage: mkfs.xfs\n/* sizes */ [-b n]\n"
            ),
            "Filesystem must be larger than 300MB."
        );
    }
}
