//! Names and addresses that are valid by construction.

use serde::{Deserialize, Serialize};

/// Name of a VM: safe as a file, a unit instance and a host name.
///
/// 1 to 63 bytes of `a-z A-Z 0-9 - _ .`, first and last a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmName(String);

/// Name of a network interface on the host: 1 to 15 bytes, no `/`, no white space, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceId(String);

/// Unicast Ethernet address, `02:00:00:00:00:01`; upper case is taken and made lower.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr(String);

/// Tag of a share: 1 to 36 bytes (virtiofs' limit) of `a-z A-Z 0-9 - _ .`, first not `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShareTag(String);

/// vsock context identifier of a guest: 3 to 4294967294.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Cid(u32);

/// Why a text is not the name it should be; says what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{accepted}")]
pub struct InvalidName {
    /// What would be accepted, as a noun phrase.
    pub accepted: &'static str,
}

macro_rules! text_name {
    ($name:ident, $valid:path, $accepted:literal) => {
        text_name!($name, $valid, $accepted, std::convert::identity);
    };
    ($name:ident, $valid:path, $accepted:literal, $normal:expr) => {
        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                if $valid(&text) {
                    Ok(Self($normal(text)))
                } else {
                    Err(InvalidName {
                        accepted: $accepted,
                    })
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name!(
    VmName,
    is_vm_name,
    "1 to 63 letters, digits, `-`, `_` or `.`, beginning and ending with a letter or a digit"
);
text_name!(
    InterfaceId,
    is_interface_id,
    "1 to 15 letters, digits, `-`, `_` or `.`, beginning with a letter or a digit"
);
text_name!(
    MacAddr,
    is_unicast_mac,
    "a unicast MAC address of six hex pairs, such as `02:00:00:00:00:01`",
    |text: String| text.to_ascii_lowercase()
);
text_name!(
    ShareTag,
    is_share_tag,
    "1 to 36 letters, digits, `-`, `_` or `.`, beginning with a letter or a digit"
);

impl TryFrom<u32> for Cid {
    type Error = InvalidName;

    fn try_from(cid: u32) -> Result<Self, InvalidName> {
        if (3..u32::MAX).contains(&cid) {
            Ok(Self(cid))
        } else {
            Err(InvalidName {
                accepted: "a number from 3 to 4294967294 (0 to 2 are reserved)",
            })
        }
    }
}

impl From<Cid> for u32 {
    fn from(cid: Cid) -> u32 {
        cid.0
    }
}

impl std::fmt::Display for Cid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn is_word(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_vm_name(text: &str) -> bool {
    is_word(text, 63) && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_interface_id(text: &str) -> bool {
    is_word(text, 15)
}

fn is_share_tag(text: &str) -> bool {
    is_word(text, 36)
}

fn is_unicast_mac(text: &str) -> bool {
    let pairs: Vec<Option<u8>> = text
        .split(':')
        .map(|pair| match pair.as_bytes() {
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                u8::from_str_radix(pair, 16).ok()
            }
            _ => None,
        })
        .collect();
    pairs.len() == 6
        && pairs.iter().all(Option::is_some)
        && pairs[0].is_some_and(|first| first & 1 == 0)
        && pairs.iter().any(|pair| *pair != Some(0))
}
