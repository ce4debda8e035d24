//! What a guest without an init of its own runs: written into its image, read by [`FILE`]'s name.
//!
//! Lines of words, as the configuration of the initrd.

use crate::words::{line, unescape};

/// Where it is in the guest.
pub const FILE: &str = "/etc/microvm/entry";

/// One process, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `NAME=value`
    pub environment: Vec<String>,
    pub directory: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// What asks it to end.
    pub stop_signal: i32,
    /// Whether interfaces get addresses by DHCP.
    pub dhcp: bool,
}

impl Entry {
    /// The text that [`Entry::parse`] reads back.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut all = |key: &str, words: &[String]| {
            let words: Vec<&str> = [key]
                .into_iter()
                .chain(words.iter().map(String::as_str))
                .collect();
            line(&mut text, &words);
        };
        all("command", &self.command);
        self.environment
            .iter()
            .for_each(|variable| all("variable", std::slice::from_ref(variable)));
        all("directory", std::slice::from_ref(&self.directory));
        let mut ids = vec![self.uid.to_string(), self.gid.to_string()];
        ids.extend(self.groups.iter().map(u32::to_string));
        all("user", &ids);
        all("stop", &[self.stop_signal.to_string()]);
        if self.dhcp {
            all("dhcp", &[]);
        }
        text
    }

    /// Reads what [`Entry::render`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut entry = Self {
            command: Vec::new(),
            environment: Vec::new(),
            directory: "/".to_owned(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            stop_signal: 15,
            dhcp: false,
        };
        for text in text.lines() {
            let words = text.split(' ').map(unescape).collect::<Option<Vec<_>>>()?;
            let (key, words) = words.split_first()?;
            match (key.as_str(), words) {
                ("command", command) => entry.command = command.to_vec(),
                ("variable", [variable]) => entry.environment.push(variable.clone()),
                ("directory", [directory]) => entry.directory.clone_from(directory),
                ("user", ids) => {
                    let ids = ids.iter().map(|id| id.parse().ok());
                    let ids = ids.collect::<Option<Vec<u32>>>()?;
                    (entry.uid, entry.gid) = (*ids.first()?, *ids.get(1)?);
                    entry.groups = ids[2..].to_vec();
                }
                ("stop", [signal]) => entry.stop_signal = signal.parse().ok()?,
                ("dhcp", []) => entry.dhcp = true,
                _ => return None,
            }
        }
        (!entry.command.is_empty()).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_read_back() {
        let entry = Entry {
            command: vec![
                "/bin/sh".into(),
                "-c".into(),
                "echo \"a b\"\nexit 3%".into(),
                String::new(),
            ],
            environment: vec!["A=b c".into(), "E=".into()],
            directory: "/srv/a b".into(),
            uid: 7,
            gid: 8,
            groups: vec![9, 10],
            stop_signal: 3,
            dhcp: true,
        };
        assert_eq!(Entry::parse(&entry.render()), Some(entry));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(Entry::parse("command /x\nnonsense\n"), None);
        assert_eq!(Entry::parse("user 1\n"), None);
        assert_eq!(Entry::parse(""), None);
    }
}
