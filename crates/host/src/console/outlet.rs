//! Bytes that wait for a reader who may be slow: kept up to a bound, never waited for.

use std::collections::VecDeque;

use std::os::fd::AsFd;

use rustix::io::Errno;

/// Largest write that never blocks where poll(2) said that there is room: PIPE_BUF of Linux.
const CHUNK: usize = 4096;

/// What waits; the oldest goes where there is too much.
#[derive(Debug, Default)]
pub struct Waiting {
    bytes: VecDeque<u8>,
}

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    Some,
    /// Nobody reads any more.
    Gone,
}

impl Waiting {
    pub fn push(&mut self, bytes: &[u8], most: usize) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(most);
        self.bytes.drain(..excess);
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn contents(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }

    /// The last of them, so many at most.
    pub fn end(&self, most: usize) -> Vec<u8> {
        let skipped = self.bytes.len().saturating_sub(most);
        self.bytes.range(skipped..).copied().collect()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Writes what fits into a descriptor that poll(2) found ready.
    pub fn write_to(&mut self, fd: &impl AsFd) -> Wrote {
        let (front, _) = self.bytes.as_slices();
        let chunk = &front[..front.len().min(CHUNK)];
        match rustix::io::write(fd, chunk) {
            Ok(count) => {
                self.bytes.drain(..count);
                Wrote::Some
            }
            Err(Errno::AGAIN | Errno::INTR) => Wrote::Some,
            Err(_) => Wrote::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_kept() {
        let mut waiting = Waiting::default();
        waiting.push(b"abc", 4);
        waiting.push(b"def", 4);
        assert_eq!(waiting.contents(), b"cdef");
    }

    #[test]
    fn a_reader_that_left_is_told() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut waiting = Waiting::default();
        waiting.push(b"x", 8);
        drop(reader);
        assert_eq!(waiting.write_to(&writer), Wrote::Gone);
    }
}
