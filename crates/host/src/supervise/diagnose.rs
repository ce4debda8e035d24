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
        }
    }
}

impl Cause {
    pub fn kind(&self) -> Kind {
        match self {
            Self::PortTaken { .. } | Self::ImageInUse { .. } => Kind::Busy,
            Self::NoMemory => Kind::Hypervisor,
            Self::NoFile { .. } => Kind::NotFound,
            Self::Denied { .. } | Self::Interface { .. } => Kind::Missing,
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
        if line.contains("Cannot allocate memory") {
            return Some(Self::NoMemory);
        }
        if line.contains("/dev/net/tun") || line.contains("bridge helper failed") {
            return Some(Self::Interface {
                said: last_line(line),
            });
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

/// Last line with something in it, without the program's name before it; of a chain of causes all.
pub fn last_line(said: &str) -> String {
    if let Some(chain) = rust::chain(said) {
        return chain;
    }
    let line = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("");
    let line = line.trim();
    match line.split_once(": ") {
        Some((program, rest)) if !program.contains(' ') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn known_failures(#[case] said: &str, #[case] expected: &str) {
        assert_eq!(Cause::of(said).unwrap().to_string(), expected);
    }

    #[test]
    fn other_words_are_quoted_without_the_program() {
        assert_eq!(Cause::of("qemu: odd\n"), None);
        assert_eq!(
            last_line("first\nqemu-system-x86_64: -foo: invalid option\n\n"),
            "-foo: invalid option"
        );
        assert_eq!(last_line(""), "");
    }
}
