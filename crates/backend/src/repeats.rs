//! Options that a hypervisor takes only once, where both we and the user have some.

use serde::{Deserialize, Serialize};

/// What a hypervisor does with an option that comes twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeats {
    /// It takes both.
    #[default]
    Kept,
    /// It refuses; so what is added is put into what is there, as Cloud Hypervisor reads it.
    Merged,
}

/// Options that take several values after one flag.
const SEVERAL: [&str; 13] = [
    "--device",
    "--disk",
    "--fs",
    "--generic-vhost-user",
    "--landlock-rules",
    "--memory-zone",
    "--net",
    "--numa",
    "--pci-segment",
    "--pmem",
    "--rate-limit-group",
    "--user-device",
    "--vdpa",
];

/// Options with a list of `key=value`, of which the last of a key counts.
const LISTS: [&str; 8] = [
    "--balloon",
    "--cpus",
    "--fw-cfg-config",
    "--memory",
    "--platform",
    "--rng",
    "--rtc",
    "--vsock",
];

/// An option and the words that follow it.
struct Entry {
    flag: String,
    values: Vec<String>,
}

/// `args` with `more` in it.
pub(crate) fn merged(args: &[String], more: &[String]) -> Vec<String> {
    let mut entries = entries(args);
    for added in self::entries(more) {
        let same = entries.iter_mut().find(|entry| entry.flag == added.flag);
        match same {
            Some(entry) => entry.take(added),
            None => entries.push(added),
        }
    }
    let words = entries
        .into_iter()
        .flat_map(|entry| std::iter::once(entry.flag).chain(entry.values));
    words.collect()
}

fn entries(args: &[String]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for arg in args {
        match entries.last_mut() {
            Some(last) if !arg.starts_with('-') => last.values.push(arg.clone()),
            _ => entries.push(Entry::begin(arg)),
        }
    }
    entries
}

impl Entry {
    /// `--flag` or `--flag=value`.
    fn begin(arg: &str) -> Self {
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (arg, None),
        };
        Self {
            flag: flag.to_owned(),
            values: value.into_iter().collect(),
        }
    }

    fn take(&mut self, added: Self) {
        let flag = self.flag.as_str();
        if SEVERAL.contains(&flag) {
            self.values.extend(added.values);
        } else if LISTS.contains(&flag) {
            self.values.extend(added.values);
            self.values = vec![self.values.join(",")];
        } else {
            self.values = added.values;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("--disk path=a", "--disk path=b path=c", "--disk path=a path=b path=c")]
    #[case(
        "--disk path=a --net tap=x",
        "--disk=path=b",
        "--disk path=a path=b --net tap=x"
    )]
    #[case(
        "--memory size=512M",
        "--memory mergeable=on",
        "--memory size=512M,mergeable=on"
    )]
    #[case("--serial tty", "--serial null -v", "--serial null -v")]
    #[case("--watchdog --cpus boot=1", "--watchdog", "--watchdog --cpus boot=1")]
    #[case("--kernel k", "", "--kernel k")]
    #[case("--net tap=x", "--tpm socket=s", "--net tap=x --tpm socket=s")]
    fn one_of_each(#[case] ours: &str, #[case] theirs: &str, #[case] expected: &str) {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        assert_eq!(merged(&words(ours), &words(theirs)), words(expected));
    }
}
