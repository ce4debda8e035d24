//! What a VM said, in a file that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use spec::names::VmName;

use super::Error;
use crate::fleet::Fleet;

/// The log of one VM that a keeper looks after.
#[derive(Debug)]
pub struct Log {
    name: String,
    path: PathBuf,
}

/// Beyond this the log is moved aside, over the one that was moved before.
const LARGEST: u64 = 8 * 1024 * 1024;

/// How often who follows looks again.
const STEP: Duration = Duration::from_millis(200);

impl Log {
    pub fn of(fleet: &Fleet, name: &VmName) -> Self {
        Self {
            name: name.to_string(),
            path: fleet.own_path("logs").join(format!("{name}.log")),
        }
    }

    /// For those who write; each line goes to the end, whoever else writes.
    pub(super) fn open(&self) -> Result<File, Error> {
        self.trim();
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)
            .map_err(|source| Error::io("open", &self.path, source))
    }

    /// Copies a log that is too long aside and empties it: who writes to it goes on at its start.
    pub(super) fn trim(&self) {
        let long = fs::metadata(&self.path).is_ok_and(|meta| meta.len() > LARGEST);
        if long && fs::copy(&self.path, self.path.with_extension("log.1")).is_ok() {
            let emptied = OpenOptions::new().write(true).open(&self.path);
            let _ = emptied.and_then(|file| file.set_len(0));
        }
    }

    /// Prints the log, or its last lines, and goes on with what is added until `ended`.
    pub fn print(
        &self,
        lines: Option<usize>,
        follow: bool,
        output: &mut dyn Write,
        ended: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let io = |source| Error::io("read", &self.path, source);
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoLog {
                    name: self.name.clone(),
                    path: self.path.clone(),
                });
            }
            file => file.map_err(io)?,
        };
        let start = match lines {
            Some(lines) => start_of_last(&mut file, lines).map_err(io)?,
            None => 0,
        };
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        loop {
            let over = ended();
            io::copy(&mut file, output)
                .and_then(|_| output.flush())
                .map_err(io)?;
            if !follow || over {
                return Ok(());
            }
            std::thread::sleep(STEP);
            let (at, length) = (file.stream_position(), file.metadata());
            // It was moved aside.
            if at.map_err(io)? > length.map_err(io)?.len() {
                file.rewind().map_err(io)?;
            }
        }
    }

    /// What was said last, for a message.
    pub(super) fn last_words(&self, from: u64) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.take(64 * 1024).read_to_end(&mut text)
        });
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        match read {
            Ok(_) => lines[lines.len().saturating_sub(5)..].join("\n"),
            Err(_) => String::new(),
        }
    }

    pub(super) fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

/// Where the last so many lines begin.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let body = text.strip_suffix(b"\n").unwrap_or(&text);
    let breaks = body.iter().rposition_nth(lines);
    Ok(breaks.map_or(0, |at| at as u64 + 1))
}

/// The n-th line break from the end.
trait FromTheEnd {
    fn rposition_nth(self, n: usize) -> Option<usize>;
}

impl<'a, I: DoubleEndedIterator<Item = &'a u8> + ExactSizeIterator> FromTheEnd for I {
    fn rposition_nth(self, n: usize) -> Option<usize> {
        let breaks = self.enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        let mut breaks = breaks.map(|(at, _)| at);
        breaks.nth(n.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("a\nb\nc\n", 1, "c\n")]
    #[case("a\nb\nc\n", 2, "b\nc\n")]
    #[case("a\nb\nc", 2, "b\nc")]
    #[case("a\nb\n", 9, "a\nb\n")]
    #[case("", 2, "")]
    fn the_last_lines(#[case] text: &str, #[case] lines: usize, #[case] expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let log = Log {
            name: "web".into(),
            path: dir.path().join("web.log"),
        };
        fs::write(&log.path, text).unwrap();
        let mut output = Vec::new();
        log.print(Some(lines), false, &mut output, &|| true)
            .unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn a_long_log_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log {
            name: "web".into(),
            path: dir.path().join("web.log"),
        };
        let mut writer = log.open().unwrap();
        writer.write_all(&vec![b'x'; 9 << 20]).unwrap();
        log.trim();
        writer.write_all(b"more\n").unwrap();
        assert_eq!(fs::read_to_string(&log.path).unwrap(), "more\n");
        assert_eq!(log.length(), 5);
        let aside = fs::metadata(dir.path().join("web.log.1")).unwrap();
        assert_eq!(aside.len(), 9 << 20);
    }
}
