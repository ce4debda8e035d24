//! What an ordinary user needs to build: ids of its own for a guest's users.

use std::fs;
use std::sync::atomic::AtomicBool;

use crate::error::Error;
use crate::process::Tool;

/// Checks that there are subordinate ids and the programs that map them.
pub(crate) fn require_subordinate_ids(interrupted: &AtomicBool) -> Result<(), Error> {
    for program in ["newuidmap", "newgidmap"] {
        let result = Tool::new(program, "uidmap").output(interrupted);
        if let Err(error @ (Error::MissingProgram { .. } | Error::Interrupted)) = result {
            return Err(error);
        }
    }
    let uid = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(uid)
        .ok()
        .flatten()
        .map_or_else(|| uid.to_string(), |user| user.name);
    let has = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let owner = line.split(':').next();
            owner == Some(name.as_str()) || owner == Some(uid.to_string().as_str())
        })
    };
    if has("/etc/subuid") && has("/etc/subgid") {
        return Ok(());
    }
    Err(Error::NoSubordinateIds { user: name })
}
