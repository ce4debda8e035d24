//! Passwords as shadow(5) has them.

use sha_crypt::{PasswordHasher, ShaCrypt};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// No password matches it; keys still let the user in.
pub(crate) const LOCKED: &str = "*";
const SALT_BYTES: usize = 12;

/// The second field of shadow(5): locked, empty, as given (crypt(5)), or the hash of clear text.
///
/// The salt follows from the user's name and, slowly, from the password: the same definition gives
/// the same image, and nothing in it is quicker to try than the hash itself.
pub(crate) fn shadow_field(user: &str, password: Option<&str>) -> Result<String, Error> {
    match password {
        None => Ok(LOCKED.to_owned()),
        Some("") => Ok(String::new()),
        Some(hashed) if is_crypt(hashed) => Ok(hashed.to_owned()),
        Some(clear) => {
            let first = hash(clear, format!("microvm:{user}").as_bytes())?;
            hash(clear, first.as_bytes())
        }
    }
}

/// `$ID$…`, with nothing that would end the field or the line.
fn is_crypt(text: &str) -> bool {
    let hashed = text.strip_prefix('$').and_then(|rest| rest.split_once('$'));
    hashed.is_some_and(|(id, rest)| {
        (1..=4).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric())
            && !rest.is_empty()
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b':')
    })
}

fn hash(clear: &str, salt_from: &[u8]) -> Result<String, Error> {
    let salt = &Sha256::digest(salt_from)[..SALT_BYTES];
    ShaCrypt::SHA512
        .hash_password_with_salt(clear.as_bytes(), salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Guest(format!("The password cannot be hashed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier;

    #[rstest::rstest]
    #[case(None, "*")]
    #[case(Some(""), "")]
    #[case(Some("$y$j9T$abc$def"), "$y$j9T$abc$def")]
    fn taken_as_given(#[case] password: Option<&str>, #[case] field: &str) {
        assert_eq!(shadow_field("root", password).unwrap(), field);
    }

    #[test]
    fn clear_text_is_hashed_the_same_each_time() {
        let field = shadow_field("root", Some("$ecret")).unwrap();
        assert!(field.starts_with("$6$"), "{field}");
        assert_eq!(shadow_field("root", Some("$ecret")).unwrap(), field);
        assert_ne!(shadow_field("ann", Some("$ecret")).unwrap(), field);
        let hash = sha_crypt::PasswordHash::new(field).unwrap();
        ShaCrypt::SHA512.verify_password(b"$ecret", &hash).unwrap();
    }

    #[test]
    fn field_cannot_be_broken_out_of() {
        assert!(!is_crypt("$6$x:0:\nroot"));
    }
}
