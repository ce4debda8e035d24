//! The forms that texts take: names, paths, addresses.

mod rules;

use std::net::Ipv4Addr;
use std::path::{Component, Path};

use self::rules::{
    is_bytes, is_line, is_owner, is_package, is_ssh_key, is_unit, is_url, is_user, is_word,
};
use crate::guest::OciImage;
use crate::names::{InterfaceId, MacAddr, ShareTag, VmName};

/// What a text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Several lines.
    Lines,
    /// One line, which may be empty.
    Line,
    /// One line that is not empty.
    Word,
    /// One line that no message may repeat, which may be empty.
    Secret,
    /// A line of `authorized_keys`.
    SshKey,
    /// A path on the host, relative or absolute.
    HostPath,
    AbsolutePath,
    /// A path in the guest: absolute, without `.`, `..` and doubled slashes.
    GuestPath,
    SocketPath,
    VmName,
    InterfaceId,
    Mac,
    Tag,
    Serial,
    Ipv4OrEmpty,
    MachineId,
    CredentialName,
    Unit,
    UserName,
    Owner,
    FileMode,
    /// A number of bytes with `K`, `M` or `G`.
    Bytes,
    /// `nproc` or a number.
    Threads,
    /// A name that goes into a hypervisor's argument: no comma, no white space.
    Identifier,
    Suite,
    Package,
    Url,
    /// A container image: of a registry, or on this host.
    OciImage,
}

impl Form {
    /// What would be right, as a noun phrase.
    pub fn accepted(self) -> &'static str {
        match self {
            Self::Lines => "text without NUL",
            Self::Line | Self::Secret => "one line of text without control characters",
            Self::SshKey => "a public key on one line, such as `ssh-ed25519 AAAA… you@host`",
            Self::Word => "one line of text that is not empty, without control characters",
            Self::HostPath => "a path that is not empty, without NUL and line breaks",
            Self::AbsolutePath => "an absolute path, such as `/srv/data`",
            Self::GuestPath => {
                "an absolute path without `.`, `..`, doubled or trailing slashes, such as `/var/lib/data`"
            }
            Self::SocketPath => "a path of at most 107 bytes, without NUL and line breaks",
            Self::VmName => {
                "1 to 63 letters, digits, `-`, `_` or `.`, beginning and ending with a letter or a digit"
            }
            Self::InterfaceId => {
                "1 to 15 letters, digits, `-`, `_` or `.`, beginning with a letter or a digit"
            }
            Self::Mac => "a unicast MAC address of six hex pairs, such as `02:00:00:00:00:01`",
            Self::Tag => {
                "1 to 36 letters, digits, `-`, `_` or `.`, beginning with a letter or a digit"
            }
            Self::Serial => "1 to 20 letters, digits, `-`, `_`, `.`, `:` or `+`",
            Self::Ipv4OrEmpty => {
                "an IPv4 address such as `127.0.0.1`, or an empty string for every address"
            }
            Self::MachineId => "32 hex digits, or a UUID, not all zero",
            Self::CredentialName => {
                "1 to 255 letters, digits, `-`, `_`, `.` or `@`, other than `.` and `..`"
            }
            Self::Unit => "the name of a systemd unit with its ending, such as `ssh.service`",
            Self::UserName => {
                "1 to 31 lower-case letters, digits, `-` or `_`, beginning with a letter or `_`"
            }
            Self::Owner => "`USER` or `USER:GROUP`",
            Self::FileMode => "permission bits in octal, such as `\"0644\"`",
            Self::Bytes => "a number with `K`, `M` or `G`, such as `256M`",
            Self::Threads => "`nproc` or a number",
            Self::Identifier => "letters, digits, `-`, `_`, `.`, `:` or `/`",
            Self::Suite => "the name of a Debian release, such as `stable` or `trixie`",
            Self::Package => "the name of a Debian package, such as `openssh-server`",
            Self::OciImage => {
                "`REGISTRY/NAME:TAG`, `REGISTRY/NAME@DIGEST`, `oci:DIR[:TAG]`, `oci-archive:FILE`, \
                 `docker-archive:FILE`, or the path of one of these that begins with `/` or `.`"
            }
            Self::Url => "a URL that begins with `http://`, `https://` or `file:///`",
        }
    }

    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Lines => !text.contains('\0'),
            Self::Line | Self::Secret => is_line(text),
            Self::SshKey => is_line(text) && is_ssh_key(text),
            Self::Word => !text.is_empty() && is_line(text),
            Self::HostPath => !text.is_empty() && is_line(text),
            Self::AbsolutePath => text.starts_with('/') && is_line(text),
            Self::GuestPath => is_line(text) && normal(text).as_deref() == Some(text),
            Self::SocketPath => (1..=107).contains(&text.len()) && is_line(text),
            Self::VmName => VmName::try_from(text.to_owned()).is_ok(),
            Self::InterfaceId => InterfaceId::try_from(text.to_owned()).is_ok(),
            Self::Mac => MacAddr::try_from(text.to_owned()).is_ok(),
            Self::Tag => ShareTag::try_from(text.to_owned()).is_ok(),
            Self::Serial => is_word(text, 20, b"-_.:+"),
            Self::Ipv4OrEmpty => text.is_empty() || text.parse::<Ipv4Addr>().is_ok(),
            Self::MachineId => machine_id(text).is_some(),
            Self::CredentialName => is_word(text, 255, b"-_.@") && text != "." && text != "..",
            Self::Unit => is_unit(text),
            Self::UserName => is_user(text),
            Self::Owner => is_owner(text),
            Self::FileMode => file_mode(text).is_some(),
            Self::Bytes => is_bytes(text),
            Self::Threads => threads(text).is_some(),
            Self::Identifier => is_word(text, 255, b"-_.:/"),
            Self::Suite => is_word(text, 64, b"-_.") && !text.starts_with(['-', '.']),
            Self::Package => is_package(text),
            Self::Url => is_url(text),
            Self::OciImage => is_line(text) && OciImage::parse(text, |path| path.into()).is_some(),
        }
    }

    /// Whether a text of this form must stay out of messages and logs.
    pub fn hides(self, text: &str) -> bool {
        match self {
            Self::Secret => true,
            Self::SshKey => text.contains("PRIVATE KEY"),
            _ => false,
        }
    }

    /// How to go on from a text that is not accepted.
    pub fn advice(self, text: &str) -> Option<&'static str> {
        match self {
            Self::SshKey if self.hides(text) => {
                Some("this is a private key; the public one is in the file that ends in `.pub`")
            }
            Self::SshKey if text.ends_with(".pub") => {
                Some("the key itself goes here, not the file that holds it")
            }
            Self::OciImage if !text.contains('/') => {
                Some("the registry belongs to the name, as in `registry.example/busybox:latest`")
            }
            _ => None,
        }
    }

    /// The right form of a text that is nearly right.
    pub fn mended(self, text: &str) -> Option<String> {
        let mended = match self {
            Self::GuestPath => normal(text)?,
            Self::Unit => format!("{text}.service"),
            Self::Mac => text.replace('-', ":"),
            Self::UserName => text.to_ascii_lowercase(),
            _ => return None,
        };
        (mended != text && self.accepts(&mended)).then_some(mended)
    }
}

/// 32 hex digits in lower case, from themselves or a UUID; `None` where the text is neither.
pub fn machine_id(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let dashes: &[usize] = if bytes.len() == 36 {
        &[8, 13, 18, 23]
    } else {
        &[]
    };
    if !matches!(bytes.len(), 32 | 36) || dashes.iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let right = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    (right && hex.bytes().any(|b| b != b'0')).then(|| hex.to_ascii_lowercase())
}

/// `"0644"` as 0o644.
pub fn file_mode(text: &str) -> Option<u32> {
    let right = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    right.then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

/// `Some(None)` for as many as there are processors.
pub fn threads(text: &str) -> Option<Option<u32>> {
    match text {
        "nproc" | "`nproc`" | "$(nproc)" => Some(None),
        _ => text.parse().ok().map(Some),
    }
}

/// The path as [`Form::GuestPath`] wants it; `None` where it is relative or climbs.
fn normal(text: &str) -> Option<String> {
    let mut parts = Path::new(text).components();
    if parts.next() != Some(Component::RootDir) {
        return None;
    }
    let names: Option<Vec<&str>> = parts
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    Some(format!("/{}", names?.join("/")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Form::GuestPath, "/var", true)]
    #[case(Form::GuestPath, "/", true)]
    #[case(Form::GuestPath, "/var/", false)]
    #[case(Form::GuestPath, "/a/../b", false)]
    #[case(Form::GuestPath, "/a/./b", false)]
    #[case(Form::GuestPath, "a", false)]
    #[case(Form::Mac, "02:AB:00:00:00:01", true)]
    #[case(Form::Mac, "03:00:00:00:00:01", false)]
    #[case(Form::MachineId, "00000000-0000-0000-0000-000000000000", false)]
    #[case(Form::MachineId, "01234567-89ab-cdef-0123-456789ABCDEF", true)]
    #[case(Form::MachineId, "0123456789abcdef0123456789abcdef", true)]
    #[case(Form::Unit, "getty@tty1.service", true)]
    #[case(Form::Unit, "ssh", false)]
    #[case(Form::Unit, "../ssh.service", false)]
    #[case(Form::UserName, "Ann", false)]
    #[case(Form::Owner, "ann:users", true)]
    #[case(Form::Owner, "0:0", true)]
    #[case(Form::FileMode, "0644", true)]
    #[case(Form::FileMode, "0888", false)]
    #[case(Form::FileMode, "+644", false)]
    #[case(Form::Bytes, "256M", true)]
    #[case(Form::Bytes, "0M", false)]
    #[case(Form::Threads, "`nproc`", true)]
    #[case(Form::Threads, "four", false)]
    #[case(Form::CredentialName, "a/b", false)]
    #[case(Form::Url, "file:///srv/mirror", true)]
    #[case(Form::Url, "ftp://x", false)]
    #[case(Form::SshKey, "ssh-ed25519 AAAAC3Nz you@host", true)]
    #[case(Form::SshKey, "command=\"a b\" ecdsa-sha2-nistp256 AAAAE2", true)]
    #[case(Form::SshKey, "-----BEGIN OPENSSH PRIVATE KEY-----", false)]
    #[case(Form::SshKey, "~/.ssh/id_ed25519.pub", false)]
    fn forms(#[case] form: Form, #[case] text: &str, #[case] right: bool) {
        assert_eq!(form.accepts(text), right);
    }

    #[test]
    fn mended() {
        assert_eq!(
            Form::GuestPath.mended("/var//x/").as_deref(),
            Some("/var/x")
        );
        assert_eq!(Form::GuestPath.mended("/var/../x"), None);
        assert_eq!(Form::Unit.mended("ssh").as_deref(), Some("ssh.service"));
    }
}
