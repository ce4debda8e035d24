//! Names of store entries, from the hash of what they are made from.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Raised when the same inputs would give other bytes than before.
const FORMAT: &str = "microvm store 1";
/// Without `e`, `o`, `t` and `u`, so that no name spells a word.
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Hash of all inputs of a store entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Starts the hash of an entry of one kind, such as `kernel`.
    pub fn of(kind: &str) -> DigestBuilder {
        DigestBuilder(Sha256::new())
            .field("format", FORMAT)
            .field("kind", kind)
    }

    /// 32 characters for the name of an entry: the first 160 bits in base 32.
    pub fn name(&self) -> String {
        self.0[..20]
            .chunks(5)
            .flat_map(|chunk| {
                let bits = chunk.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
                (0..8).rev().map(move |i| bits >> (5 * i) & 31)
            })
            .map(|digit| char::from(ALPHABET[digit as usize]))
            .collect()
    }

    /// All 64 hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Collects inputs; every field is framed, so that no two sets of inputs look alike.
#[derive(Clone)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Adds one named input.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds one named input as JSON: fields in the order of their declaration, maps sorted.
    #[must_use]
    pub fn json(self, name: &str, value: &impl Serialize) -> Self {
        let text = serde_json::to_vec(value).expect("definitions have only string keys");
        self.field(name, text)
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_32_characters_and_are_stable() {
        let digest = Digest::of("kernel").field("version", "6.1").finish();
        assert_eq!(digest.name().len(), 32);
        assert_eq!(digest.name(), "xd50vsqd9flhb474aj489zywrdwb68lw");
    }

    #[test]
    fn fields_are_framed() {
        let a = Digest::of("x").field("a", "bc").finish();
        let b = Digest::of("x").field("ab", "c").finish();
        assert_ne!(a, b);
    }
}
