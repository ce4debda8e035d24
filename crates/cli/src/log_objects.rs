//! A log as JSON: an object for each line, as the journal gives them (`MESSAGE`).

use std::io::{self, Write};

/// Takes text, and writes an object for each line that is whole.
pub struct Objects<W: Write> {
    vm: String,
    line: Vec<u8>,
    to: W,
}

impl<W: Write> Objects<W> {
    pub fn new(vm: &str, to: W) -> Self {
        Self {
            vm: vm.to_owned(),
            line: Vec::new(),
            to,
        }
    }

    fn object(&mut self) -> io::Result<()> {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches('\r');
        let object = serde_json::json!({"vm": self.vm, "MESSAGE": text});
        self.line.clear();
        writeln!(self.to, "{object}")
    }
}

impl<W: Write> Write for Objects<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            match byte {
                b'\n' => self.object()?,
                _ => self.line.push(byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The last line may have no end.
impl<W: Write> Drop for Objects<W> {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            let _ = self.object();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_object_in_whatever_pieces_it_comes() {
        let mut text = Vec::new();
        let mut objects = Objects::new("web", &mut text);
        for part in ["a \"b", "\"\r\n\n", "c"] {
            objects.write_all(part.as_bytes()).unwrap();
        }
        drop(objects);
        let text = String::from_utf8(text).unwrap();
        let messages: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|object| object["MESSAGE"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(messages, ["a \"b\"", "", "c"]);
    }
}
