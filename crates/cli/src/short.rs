//! The short forms of the existing `microvm` command, in the words of this one: `-c NAME`,
//! `-u NAMES`, `-r NAME`, `-s NAME`, `-l`, with `-f SOURCE` and `-R`.

use std::ffi::{OsStr, OsString};

/// What a short form stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Run,
    Ssh,
    List,
}

impl Action {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'c' => Self::Create,
            'u' => Self::Update,
            'r' => Self::Run,
            's' => Self::Ssh,
            'l' => Self::List,
            _ => return None,
        })
    }

    fn takes_name(self) -> bool {
        matches!(self, Self::Create | Self::Run | Self::Ssh)
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Create => &["create"],
            Self::Update => &["update"],
            Self::Run => &["run", "--installed"],
            Self::Ssh => &["ssh"],
            Self::List => &["list"],
        }
    }
}

/// Translates arguments whose first is a short form; others are as they were. What it cannot
/// translate it leaves to clap, which says what is wrong.
pub fn translated(arguments: Vec<OsString>) -> Vec<OsString> {
    translate(&arguments).unwrap_or(arguments)
}

fn translate(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = arguments.split_first()?;
    let first = rest.first()?.to_str()?;
    let is_short = first.len() > 1 && first.starts_with('-') && !first.starts_with("--");
    if !is_short || ["-h", "-V"].contains(&first) {
        return None;
    }
    let mut action = None;
    let (mut named, mut options, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.to_str().and_then(cluster) else {
            others.push(word.clone());
            if word == "--" {
                others.extend(words.by_ref().cloned());
            } else if word.to_str().is_some_and(|word| word.starts_with("--")) {
                others.extend(value_of(word, &mut words));
            }
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let attached = &word.to_str()?[1 + at + letter.len_utf8()..];
            let value = || match attached {
                "" => None,
                attached => Some(OsString::from(attached)),
            };
            match letter {
                'R' => options.push("-R".into()),
                'f' => {
                    options.push("-f".into());
                    options.push(value().or_else(|| words.next().cloned())?);
                    break;
                }
                letter => {
                    let wanted = Action::of(letter)?;
                    // The last one counts, as with the existing command.
                    action = Some(wanted);
                    if wanted.takes_name() {
                        named = vec![value().or_else(|| words.next().cloned())?];
                        break;
                    }
                }
            }
        }
    }
    let words = action?.words().iter().map(OsString::from);
    let all = std::iter::once(program.clone()).chain(words);
    Some(all.chain(options).chain(named).chain(others).collect())
}

/// The letters of a word of short forms.
fn cluster(word: &str) -> Option<&str> {
    let letters = word.strip_prefix('-')?;
    (!letters.is_empty() && !letters.starts_with('-')).then_some(letters)
}

/// `--state-dir DIR` keeps its value.
fn value_of<'a>(word: &OsStr, words: &mut impl Iterator<Item = &'a OsString>) -> Option<OsString> {
    (word == "--state-dir").then(|| words.next().cloned())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("-c web", "create web")]
    #[case("-cweb", "create web")]
    #[case("-f /srv -c web", "create -f /srv web")]
    #[case("-c web -f github:o/r", "create -f github:o/r web")]
    #[case("-u web db", "update web db")]
    #[case("-u web -R", "update -R web")]
    #[case("-Ru web", "update -R web")]
    #[case("-r web", "run --installed web")]
    #[case("-s web -- uname -a", "ssh web -- uname -a")]
    #[case("-l", "list")]
    #[case("-l --json", "list --json")]
    #[case("-l --state-dir /x", "list --state-dir /x")]
    #[case("-c -rf", "create -rf")]
    #[case("list", "list")]
    #[case("-x", "-x")]
    #[case("-c", "-c")]
    #[case("-h", "-h")]
    #[case("run -f", "run -f")]
    fn as_the_existing_command_has_it(#[case] short: &str, #[case] long: &str) {
        let words = |text: &str| -> Vec<OsString> {
            let words = std::iter::once("microvm").chain(text.split(' '));
            words.map(OsString::from).collect()
        };
        assert_eq!(translated(words(short)), words(long));
    }
}
