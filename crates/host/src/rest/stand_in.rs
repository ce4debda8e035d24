//! A REST interface that answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

/// Gives the socket, and every request as `METHOD PATH BODY`. `answer` gets the same and says
/// status and body.
pub fn serve(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (tempfile::TempDir, PathBuf, Receiver<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(request) = request(&mut reader) {
            let (status, body) = answer(&request);
            let length = body.len();
            let text = format!("HTTP/1.1 {status} \r\nContent-Length: {length}\r\n\r\n{body}");
            if asked.send(request).is_err() || reader.get_mut().write_all(text.as_bytes()).is_err()
            {
                break;
            }
        }
    });
    (dir, path, requests)
}

fn request(reader: &mut BufReader<UnixStream>) -> Option<String> {
    let mut first = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().ok()?;
        }
        if first.is_empty() {
            first = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(
        format!("{first} {}", String::from_utf8(body).ok()?)
            .trim_end()
            .to_owned(),
    )
}
