//! Keys that let the host in over SSH for a while: in memory, where the guest's sshd looks for
//! them because our image says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What `AuthorizedKeysFile` of our images names as `/run/microvm/authorized_keys/%u`.
const DIRECTORY: &str = "/run/microvm/authorized_keys";

/// Puts a key in the place of the one before.
pub fn authorize(user: &str, line: &str) -> Result<(), String> {
    let is_name = (1..=32).contains(&user.len())
        && user
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !user.starts_with(['.', '-']);
    if !is_name || line.contains(['\n', '\r', '\0']) {
        return Err("that is no name of a user, or no key".to_owned());
    }
    write(Path::new(DIRECTORY), user, line).map_err(|error| format!("{DIRECTORY}: {error}"))
}

/// Readable by all, for sshd reads it as the user; a public key is no secret.
fn write(directory: &Path, user: &str, line: &str) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let new = directory.join(format!(".{user}.{}", std::process::id()));
    fs::write(&new, format!("{line}\n"))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o644))?;
    fs::rename(&new, directory.join(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_or_no_line_is_refused() {
        for (user, line) in [("../x", "k"), (".x", "k"), ("", "k"), ("root", "a\nb")] {
            assert!(authorize(user, line).is_err(), "{user}");
        }
    }
}
