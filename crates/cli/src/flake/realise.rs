//! Builds by Nix, with what it is at shown, and with a root until the package is in use.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use image::{Phase, Progress};
use serde_json::Value;

use super::{Flake, Runners, nix, trace};
use crate::error::{Error, Kind, OrKind, Result};
use crate::places::Places;
use crate::progress::TermProgress;

/// A built package; Nix keeps it while this is held.
pub struct Realised {
    pub path: PathBuf,
    root: Option<PathBuf>,
}

impl Drop for Realised {
    fn drop(&mut self) {
        if let Some(root) = &self.root {
            let _ = std::fs::remove_file(root);
        }
    }
}

pub fn realise(
    flake: &Flake,
    name: &str,
    runners: &Runners,
    link: Option<&Path>,
    places: &Places,
) -> Result<Realised> {
    let own = places.cache.join("nix-roots");
    std::fs::create_dir_all(&own).or_kind(Kind::Storage)?;
    let root = match link {
        Some(link) => link.to_owned(),
        None => own.join(format!("{}-{name}", std::process::id())),
    };
    let mut command = nix::command("nix-store");
    command
        .args(["--log-format", "internal-json", "--indirect", "--add-root"])
        .arg(std::path::absolute(&root).or_kind(Kind::Storage)?)
        .arg("--realise")
        .arg(&runners.derivation)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    tracing::debug!(?command, %flake, "building");
    let mut child = command
        .spawn()
        .map_err(|error| nix::cannot_run("nix-store", &error))?;
    let said = listen(child.stderr.take());
    let status = child.wait().or_kind(Kind::Other)?;
    if !status.success() {
        return Err(failed(&said));
    }
    Ok(Realised {
        path: runners.out.clone(),
        root: link.is_none().then_some(root),
    })
}

fn failed(said: &str) -> Error {
    trace::error(Kind::Build, said, nix::shows_trace())
}

/// Shows what is built and fetched; gives what was said beside that.
fn listen(stderr: Option<impl std::io::Read>) -> String {
    let progress = TermProgress::new();
    let mut said = String::new();
    let mut log = Tail::default();
    let lines = stderr
        .into_iter()
        .flat_map(|stderr| BufReader::new(stderr).lines());
    for line in lines.map_while(std::result::Result::ok) {
        let Some(event) = line.strip_prefix("@nix ") else {
            said += &line;
            said.push('\n');
            continue;
        };
        match Event::of(event) {
            Some(Event::Log(line)) => log.push(line),
            Some(Event::Works { phase, subject }) => progress.start(phase, &subject),
            Some(Event::Message(text)) => {
                said += &text;
                said.push('\n');
            }
            None => {}
        }
    }
    // With events for a log Nix leaves what the builder said to us.
    log.told_after("builder for", &said)
}

/// The last lines of what builders said.
#[derive(Default)]
struct Tail(VecDeque<String>);

impl Tail {
    const LINES: usize = 25;

    /// The lines after the first one that has a text; none where Nix has told them itself.
    fn told_after(&self, text: &str, said: &str) -> String {
        let Some(at) = said.find(text).filter(|_| !said.contains("log lines")) else {
            return said.to_owned();
        };
        let end = said[at..].find('\n').map_or(said.len(), |end| at + end + 1);
        let lines: String = self.0.iter().map(|line| format!("  > {line}\n")).collect();
        format!("{}{lines}{}", &said[..end], &said[end..])
    }

    fn push(&mut self, line: String) {
        if self.0.len() == Self::LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

enum Event {
    Log(String),
    Works { phase: Phase, subject: String },
    Message(String),
}

/// Kinds of Nix's activities, of its `logging.hh`.
const FETCHES: u64 = 108;
const BUILDS: u64 = 105;
/// Of results.
const LOG_LINE: u64 = 101;
/// Of messages: what is wrong, and what is to be noticed.
const NOTICE: u64 = 2;

impl Event {
    fn of(text: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(text).ok()?;
        match event["action"].as_str()? {
            "start" => {
                let phase = match event["type"].as_u64()? {
                    BUILDS => Phase::Build,
                    FETCHES => Phase::Download,
                    _ => return None,
                };
                let path = event["fields"][0].as_str()?;
                Some(Self::Works {
                    phase,
                    subject: name_of(path),
                })
            }
            "result" if event["type"].as_u64()? == LOG_LINE => {
                Some(Self::Log(trace::plain(event["fields"][0].as_str()?)))
            }
            "msg" if event["level"].as_u64()? <= NOTICE => {
                Some(Self::Message(trace::plain(event["msg"].as_str()?)))
            }
            _ => None,
        }
    }
}

/// Of `/nix/store/HASH-NAME.drv` the name.
fn name_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.split_once('-').map_or(name, |(_, name)| name);
    name.trim_end_matches(".drv").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read() {
        let build =
            r#"{"action":"start","type":105,"fields":["/nix/store/aaa-web-1.0.drv","",1,1]}"#;
        assert!(
            matches!(Event::of(build), Some(Event::Works { subject, .. }) if subject == "web-1.0")
        );
        let message =
            "{\"action\":\"msg\",\"level\":0,\"msg\":\"\\u001b[31;1merror:\\u001b[0m no\"}";
        assert!(matches!(Event::of(message), Some(Event::Message(text)) if text == "error: no"));
        assert!(Event::of(r#"{"action":"stop","id":1}"#).is_none());
    }

    #[test]
    fn the_end_of_a_log_follows_the_builder_that_failed() {
        let mut log = Tail::default();
        (0..30).for_each(|number| log.push(format!("line {number}")));
        let said = log.told_after(
            "builder for",
            "error: builder for 'x' failed\nerror: 1 more\n",
        );
        assert!(
            said.starts_with("error: builder for 'x' failed\n  > line 5\n"),
            "{said}"
        );
        assert!(said.ends_with("  > line 29\nerror: 1 more\n"), "{said}");
    }
}
