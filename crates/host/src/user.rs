//! Who runs this process.

use std::path::Path;

/// Whether the effective user is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Group id by name, from the host's own database.
pub fn group_id(name: &str) -> Option<u32> {
    let group = nix::unistd::Group::from_name(name).ok().flatten()?;
    Some(group.gid.as_raw())
}

/// User id by name, from the host's own database.
pub fn user_id(name: &str) -> Option<u32> {
    let user = nix::unistd::User::from_name(name).ok().flatten()?;
    Some(user.uid.as_raw())
}

/// First range of subordinate ids that `file` (`/etc/subuid`, `/etc/subgid`) gives this user:
/// first id and count; see subuid(5).
pub fn subordinate_ids(file: &Path) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string(file).ok()?;
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid)
        .ok()
        .flatten()
        .map(|user| user.name);
    parse_subordinate(&text, name.as_deref(), uid.as_raw())
}

fn parse_subordinate(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    let uid = uid.to_string();
    text.lines().find_map(|line| {
        let (who, range) = line.split_once(':')?;
        let (first, count) = range.split_once(':')?;
        let ours = who == uid || name == Some(who);
        ours.then_some(())?;
        Some((first.trim().parse().ok()?, count.trim().parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_are_found_by_name_and_number() {
        let text = "a:100000:65536\n1001:165536:65536\nbroken\n";
        assert_eq!(
            parse_subordinate(text, Some("a"), 7),
            Some((100_000, 65_536))
        );
        assert_eq!(
            parse_subordinate(text, Some("b"), 1001),
            Some((165_536, 65_536))
        );
        assert_eq!(parse_subordinate(text, Some("b"), 7), None);
    }
}
