//! Finding options by name, also by a name that is nearly right.

use strsim::osa_distance;

use super::table::SECTIONS;
use super::{Opt, shape::Shape};

/// Other tools' words for options of ours.
const SYNONYMS: [(&str, &str); 17] = [
    ("cores", "vcpu"),
    ("cpus", "vcpu"),
    ("disks", "volumes"),
    ("drives", "volumes"),
    ("filesystem", "fsType"),
    ("image", "volumes"),
    ("initrd", "initrdPath"),
    ("memory", "mem"),
    ("memsize", "mem"),
    ("mounts", "shares"),
    ("network", "interfaces"),
    ("networks", "interfaces"),
    ("nics", "interfaces"),
    ("path", "image"),
    ("ports", "forwardPorts"),
    ("ram", "mem"),
    ("vcpus", "vcpu"),
];

/// Every option, in the order of the handbook.
pub fn all() -> impl Iterator<Item = &'static Opt> {
    SECTIONS.into_iter().flatten()
}

/// The option of a name; `microvm.` before it and indices in it (`volumes[0].size`) are accepted.
pub fn find(name: &str) -> Option<&'static Opt> {
    let parts = parts(name);
    all().find(|opt| {
        let own: Vec<&str> = opt.name.split('.').collect();
        own.len() == parts.len() && own.iter().zip(&parts).all(|(own, part)| same(own, part))
    })
}

/// An option and those below it; all of them for an empty name.
pub fn below(prefix: &str) -> impl Iterator<Item = &'static Opt> {
    let parts = parts(prefix);
    all().filter(move |opt| {
        let own: Vec<&str> = opt.name.split('.').collect();
        own.len() >= parts.len() && own.iter().zip(&parts).all(|(own, part)| same(own, part))
    })
}

/// The option whose name is nearest to one that does not exist.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = parts(name).join(".");
    let leaf = name.rsplit('.').next().unwrap_or(&name);
    let by_leaf = || {
        all()
            .find(|opt| plain(opt.leaf()) == plain(leaf))
            .map(|opt| opt.name)
    };
    closest(&name, all().map(|opt| opt.name)).or_else(by_leaf)
}

/// What was probably meant by a name that `shape` has no member for.
pub(crate) fn meant(name: &str, shape: &'static Shape) -> Option<&'static str> {
    let members = || shape.members().map(|(name, _)| name);
    closest(name, members()).or_else(|| {
        let (_, meant) = SYNONYMS
            .into_iter()
            .find(|(word, _)| *word == plain(name))?;
        members().find(|member| *member == meant)
    })
}

/// The candidate with the fewest edits, where few enough: a third of the name's length, and one
/// at least. Case, `-` and `_` do not count, so that `mount_point` is `mountPoint`.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = plain(name);
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (osa_distance(&name, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < plain(candidate).len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn parts(name: &str) -> Vec<String> {
    let name = name.strip_prefix("microvm.").unwrap_or(name);
    name.replace("[]", ".*")
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn same(own: &str, part: &str) -> bool {
    match own {
        "*" => part == "*" || part.bytes().all(|b| b.is_ascii_digit()),
        _ if own.starts_with('<') => true,
        _ => own == part,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("volumes[0].size", Some("volumes.*.size"))]
    #[case("microvm.mem", Some("mem"))]
    #[case("guest.users.ann.uid", Some("guest.users.<name>.uid"))]
    #[case("volumes.size", None)]
    fn found(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(find(name).map(|opt| opt.name), expected);
    }

    #[rstest]
    #[case("forward-ports", Some("forwardPorts"))]
    #[case("hypervisr", Some("hypervisor"))]
    #[case("volumes.size", Some("volumes.*.size"))]
    #[case("mount_point", Some("volumes.*.mountPoint"))]
    #[case("xyzzy", None)]
    fn nearly(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(name), expected);
    }

    #[test]
    fn those_below() {
        let names: Vec<_> = below("vsock").map(|opt| opt.name).collect();
        assert_eq!(names, ["vsock.cid"]);
        assert_eq!(below("").count(), all().count());
        assert_eq!(below("volumes").next().map(|opt| opt.name), Some("volumes"));
    }
}
