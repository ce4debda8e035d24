//! What was asked, line by line.

/// Longer lines than any request are noise.
const LONGEST: usize = 64;

/// A line's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Ping,
    PowerOff,
    Unknown,
}

/// Lines of a stream of bytes.
#[derive(Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// The requests that these bytes complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Request> {
        let mut requests = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    requests.extend(request(&self.line));
                    self.line.clear();
                }
                _ if self.line.len() <= LONGEST => self.line.push(byte),
                _ => {}
            }
        }
        requests
    }
}

/// `None` for an empty line, and for our own answers: a terminal that echoes them would otherwise
/// be answered for ever.
fn request(line: &[u8]) -> Option<Request> {
    match line.trim_ascii() {
        b"" | b"ok" | b"pong" => None,
        own if own.starts_with(b"error:") => None,
        b"ping" => Some(Request::Ping),
        b"poweroff" => Some(Request::PowerOff),
        _ => Some(Request::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_in_whatever_pieces_they_come() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(b"\r\npi"), []);
        assert_eq!(lines.feed(b"ng\r\npower"), [Request::Ping]);
        assert_eq!(
            lines.feed(b"off\nwho\n"),
            [Request::PowerOff, Request::Unknown]
        );
    }

    #[test]
    fn an_echo_is_not_answered() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(b"pong\nok\nerror: x\n\n"), []);
    }

    #[test]
    fn noise_takes_no_memory_and_is_one_unknown_line() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(&[b'x'; 100_000]), []);
        assert!(lines.line.len() <= LONGEST + 1);
        assert_eq!(
            lines.feed(b"ping\nping\n"),
            [Request::Unknown, Request::Ping]
        );
    }
}
