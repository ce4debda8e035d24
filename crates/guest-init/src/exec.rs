//! How the host has a command run in a guest, over one connection of AF_VSOCK: frames of a kind,
//! a length and content, both ways.
//!
//! The host says [`Kind::Request`] first; what the command reads follows, then [`Kind::End`]. The
//! guest sends what the command says, and [`Kind::Exit`] last, or [`Kind::Failure`].

use std::io::{self, ErrorKind, Read, Write};

use crate::words::{line, unescape};

/// Where the guest listens, for the host alone.
pub const PORT: u32 = 1025;

/// Longest content of a frame.
pub const LONGEST: usize = 64 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A [`Request`].
    Request,
    /// For the command's standard input, or its terminal.
    Input,
    /// Nothing more is for its standard input.
    End,
    /// Rows and columns of the terminal, two bytes each.
    Size,
    Output,
    Error,
    /// The exit code, one byte.
    Exit,
    /// Why there is no command that ran.
    Failure,
}

const KINDS: [(Kind, u8); 8] = [
    (Kind::Request, b'R'),
    (Kind::Input, b'I'),
    (Kind::End, b'D'),
    (Kind::Size, b'S'),
    (Kind::Output, b'O'),
    (Kind::Error, b'E'),
    (Kind::Exit, b'X'),
    (Kind::Failure, b'F'),
];

/// Writes one frame; longer content becomes several.
pub fn write(to: &mut impl Write, kind: Kind, content: &[u8]) -> io::Result<()> {
    let mut rest = content;
    loop {
        let (part, more) = rest.split_at(rest.len().min(LONGEST));
        let letter = KINDS.iter().find(|(known, _)| *known == kind);
        let letter = letter.map_or(b'?', |(_, letter)| *letter);
        let mut frame = vec![letter];
        frame.extend((part.len() as u32).to_be_bytes());
        frame.extend(part);
        to.write_all(&frame)?;
        rest = more;
        if rest.is_empty() {
            return to.flush();
        }
    }
}

/// Reads one frame; `None` at the end of the stream.
pub fn read(from: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let known = KINDS.iter().find(|(_, letter)| *letter == head[0]);
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let Some((kind, _)) = known.filter(|_| length <= LONGEST) else {
        return Err(ErrorKind::InvalidData.into());
    };
    let mut content = vec![0; length];
    from.read_exact(&mut content)?;
    Ok(Some((*kind, content)))
}

/// What the host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Waits until the guest has booted, and exits with 0.
    Ready,
    /// Lets a key in as a user for a while: the rest of this line of authorized_keys(5).
    Key {
        user: String,
        line: String,
    },
    Command(Command),
}

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub words: Vec<String>,
    /// `NAME=value`
    pub environment: Vec<String>,
    /// Rows and columns, where it gets a terminal.
    pub terminal: Option<(u16, u16)>,
}

impl Request {
    /// The text that [`Request::parse`] reads back.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Ready => line(&mut text, &["ready"]),
            Self::Key { user, line: key } => line(&mut text, &["key", user, key]),
            Self::Command(command) => {
                let words = command.words.iter().map(String::as_str);
                line(
                    &mut text,
                    &["command"].into_iter().chain(words).collect::<Vec<_>>(),
                );
                for variable in &command.environment {
                    line(&mut text, &["variable", variable]);
                }
                if let Some((rows, columns)) = command.terminal {
                    line(
                        &mut text,
                        &["terminal", &rows.to_string(), &columns.to_string()],
                    );
                }
            }
        }
        text
    }

    /// Reads what [`Request::render`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut command: Option<Command> = None;
        for text in text.lines() {
            let words = text.split(' ').map(unescape).collect::<Option<Vec<_>>>()?;
            let (key, words) = words.split_first()?;
            match (key.as_str(), words, &mut command) {
                ("ready", [], None) => return Some(Self::Ready),
                ("key", [user, line], None) => {
                    return Some(Self::Key {
                        user: user.clone(),
                        line: line.clone(),
                    });
                }
                ("command", [_, ..], None) => {
                    command = Some(Command {
                        words: words.to_vec(),
                        environment: Vec::new(),
                        terminal: None,
                    });
                }
                ("variable", [variable], Some(command)) => {
                    command.environment.push(variable.clone());
                }
                ("terminal", [rows, columns], Some(command)) => {
                    command.terminal = Some((rows.parse().ok()?, columns.parse().ok()?));
                }
                _ => return None,
            }
        }
        command.map(Self::Command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_back() {
        let command = Request::Command(Command {
            words: vec![
                "sh".into(),
                "-c".into(),
                "echo \"a b\"\n%".into(),
                String::new(),
            ],
            environment: vec!["TERM=x y".into()],
            terminal: Some((24, 80)),
        });
        let key = Request::Key {
            user: "root".into(),
            line: "ssh-ed25519 AAAA x@y".into(),
        };
        for request in [command, key, Request::Ready] {
            assert_eq!(Request::parse(&request.render()), Some(request));
        }
        assert_eq!(Request::parse("command\n"), None);
        assert_eq!(Request::parse("variable x\n"), None);
    }

    #[test]
    fn frames_are_read_back_and_a_long_one_becomes_several() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Output, &vec![7; LONGEST + 1]).unwrap();
        write(&mut bytes, Kind::End, &[]).unwrap();
        let mut from = &bytes[..];
        let lengths: Vec<usize> = std::iter::from_fn(|| read(&mut from).unwrap())
            .map(|(_, content)| content.len())
            .collect();
        assert_eq!(lengths, [LONGEST, 1, 0]);
        assert!(read(&mut &b"?\0\0\0\0"[..]).is_err());
        assert!(read(&mut &b"O\xff\xff\xff\xff"[..]).is_err());
    }
}
