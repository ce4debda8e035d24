//! What the documents say can be followed: links lead somewhere, examples are right, commands exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A document, with its lines outside of code and its blocks of code.
struct Document {
    path: PathBuf,
    prose: String,
    /// What stands behind the fence, and the text.
    blocks: Vec<(String, String)>,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn documents() -> Vec<Document> {
    let docs = std::fs::read_dir(root().join("docs")).expect("it is there");
    let paths = docs.map(|entry| entry.expect("it can be read").path());
    let mut paths: Vec<PathBuf> = paths.chain([root().join("README.md")]).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths.into_iter().map(Document::read).collect()
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let mut prose = String::new();
        let mut blocks = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            match line.strip_prefix("```") {
                None => prose += &format!("{line}\n"),
                Some(kind) => {
                    let inside = lines.by_ref().take_while(|line| *line != "```");
                    let inside = inside.map(|line| format!("{line}\n")).collect();
                    blocks.push((kind.to_owned(), inside));
                }
            }
        }
        Self {
            path,
            prose,
            blocks,
        }
    }

    fn links(&self) -> impl Iterator<Item = &str> {
        let after = self.prose.split("](").skip(1);
        after.filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
    }

    /// Headings as links name them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.lines().filter(|line| line.starts_with('#'));
        headings.map(anchor).collect()
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let of = self.blocks.iter().filter(move |(of, _)| of == kind);
        of.map(|(_, text)| text.as_str())
    }
}

fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut dead = Vec::new();
    for document in &documents {
        for link in document.links().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let beside = document.path.parent().expect("it is in a directory");
            let target = match path {
                "" => document.path.clone(),
                path => beside.join(path),
            };
            let is_there = target.canonicalize().is_ok_and(|target| {
                let is_it =
                    |other: &&Document| other.path.canonicalize().ok() == Some(target.clone());
                let found = documents.iter().find(is_it);
                anchor.is_empty() || found.is_some_and(|found| found.anchors().contains(anchor))
            });
            if !is_there {
                dead.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// `toml,fragment` marks what is not a definition by itself.
#[test]
fn definitions_pass_check() {
    let mut tried = 0;
    for document in documents() {
        for text in document.of("toml") {
            let directory = tempfile::tempdir().expect("it can be made");
            std::fs::write(directory.path().join("microvm.toml"), text).expect("it can be");
            let output = microvm(&["check"], directory.path());
            let said = String::from_utf8_lossy(&output.stderr);
            let path = document.path.display();
            assert!(output.status.success(), "{path}: {said}\n{text}");
            tried += 1;
        }
    }
    assert!(tried > 0);
}

/// With the options that they are given.
#[test]
fn commands_exist() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for document in documents() {
        for line in document.of("sh").flat_map(str::lines) {
            let line = line.split(" #").next().unwrap_or_default();
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            let Some(rest) = line.strip_prefix("microvm ") else {
                continue;
            };
            tried += 1;
            if let Some(why) = unknown(rest) {
                wrong.push(format!("{}: {line}: {why}", document.path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty() && tried > 20,
        "{tried}: {}",
        wrong.join("\n")
    );
}

/// Why a line cannot be right, if so. What follows `--` is somebody else's.
fn unknown(line: &str) -> Option<String> {
    let words: Vec<&str> = line
        .split_whitespace()
        .take_while(|it| *it != "--")
        .collect();
    let mut command = vec![*words.first()?];
    let mut help = help(&command)?;
    if let Some(second) = words.get(1)
        && help.contains("<COMMAND>")
    {
        command.push(second);
        help = self::help(&command)?;
    }
    if help.starts_with("error") {
        return Some(help);
    }
    let options = words.iter().filter(|word| word.starts_with('-'));
    let names = options.map(|option| option.split('=').next().unwrap_or(option));
    let known: BTreeSet<&str> = help.split([' ', ',', '\n', '[', ']', '=']).collect();
    let mut strange = names.filter(|name| !known.contains(name));
    strange.next().map(|name| format!("it has no `{name}`"))
}

/// What the command's own help says, or its error.
fn help(command: &[&str]) -> Option<String> {
    // Short forms (`-c NAME`) are words of the program's own.
    if command[0].starts_with('-') {
        return None;
    }
    let output = microvm(&[command, &["--help"]].concat(), root());
    let said = match output.status.success() {
        true => output.stdout,
        false => output.stderr,
    };
    String::from_utf8(said).ok()
}

fn microvm(arguments: &[&str], directory: &Path) -> Output {
    Command::new(harness::host::microvm())
        .args(arguments)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .output()
        .expect("the program can be run")
}

#[test]
fn the_handbook_lists_every_page() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).expect("it is there");
    for document in documents() {
        let name = document
            .path
            .file_name()
            .expect("it has one")
            .to_string_lossy();
        let is_page = !["README.md", "SUMMARY.md"].contains(&&*name);
        assert!(!is_page || summary.contains(&*name), "{name}");
    }
}
