//! Which taps a network takes, by their names: letters that stand for themselves, and `*`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `vm-*`, or the name of one tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "accepted are 1 to 15 letters, digits, `-`, `_`, `.`, and `*` for any of them, such as `vm-*`"
)]
pub struct Invalid;

impl Pattern {
    pub fn takes(&self, tap: &str) -> bool {
        meet(self.0.as_bytes(), tap.as_bytes())
    }

    /// Whether there is a name that both take.
    pub fn meets(&self, other: &Self) -> bool {
        meet(self.0.as_bytes(), other.0.as_bytes())
    }

    /// Whether it is the name of one tap.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }
}

/// Short as they are, trying every way is quick.
fn meet(a: &[u8], b: &[u8]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([b'*', rest @ ..], other) | (other, [b'*', rest @ ..]) if other.is_empty() => {
            meet(rest, other)
        }
        ([b'*', rest @ ..], [_, after @ ..]) if meet(rest, b) || meet(a, after) => true,
        ([_, after @ ..], [b'*', rest @ ..]) => meet(a, rest) || meet(after, b),
        ([x, a @ ..], [y, b @ ..]) => *x != b'*' && x == y && meet(a, b),
        _ => false,
    }
}

impl TryFrom<String> for Pattern {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte);
        let fits = (1..=15).contains(&text.len()) && text.bytes().all(is_fine);
        // Of several one is enough, and more take long to compare.
        let stars = text.bytes().filter(|byte| *byte == b'*').count();
        (fits && stars <= 3).then_some(Self(text)).ok_or(Invalid)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    #[rstest::rstest]
    #[case("vm-*", "vm-web", true)]
    #[case("vm-*", "vm-", true)]
    #[case("vm-*", "vm", false)]
    #[case("vm-web", "vm-web", true)]
    #[case("vm-web", "vm-web2", false)]
    #[case("*", "x", true)]
    #[case("*-web", "vm-web", true)]
    #[case("v*w*b", "vm-web", true)]
    #[case("v*w*b", "vm-wet", false)]
    fn what_a_pattern_takes(#[case] text: &str, #[case] tap: &str, #[case] expected: bool) {
        assert_eq!(pattern(text).takes(tap), expected);
    }

    #[rstest::rstest]
    #[case("vm-*", "vm-web*", true)]
    #[case("vm-*", "*", true)]
    #[case("a*", "*b", true)]
    #[case("a*", "b*", false)]
    #[case("*a", "*b", false)]
    #[case("*", "*", true)]
    #[case("ab*c", "a*bc", true)]
    fn which_meet(#[case] a: &str, #[case] b: &str, #[case] expected: bool) {
        assert_eq!(pattern(a).meets(&pattern(b)), expected);
        assert_eq!(pattern(b).meets(&pattern(a)), expected);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("vm web")]
    #[case("vm-;reboot")]
    #[case("a234567890123456")]
    fn what_is_none(#[case] text: &str) {
        assert_eq!(Pattern::try_from(text.to_owned()), Err(Invalid));
    }
}
