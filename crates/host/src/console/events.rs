//! What a hypervisor tells of itself as JSON documents, one after the other, on a pipe.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;

/// Longest document that is waited for.
const MOST: usize = 64 << 10;

/// The read end of Cloud Hypervisor's `--event-monitor`.
#[derive(Debug)]
pub struct Events {
    pub pipe: File,
    pending: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Event {
    source: String,
    event: String,
}

impl Events {
    pub fn new(pipe: File) -> Self {
        Self {
            pipe,
            pending: Vec::new(),
        }
    }

    /// Takes what is there; says whether the guest is being restarted in place, and `None` where
    /// nothing more comes.
    pub fn read(&mut self) -> Option<bool> {
        let mut buffer = [0; 4096];
        match self.pipe.read(&mut buffer) {
            Ok(count) if count > 0 => Some(self.take(&buffer[..count])),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Some(false),
            _ => None,
        }
    }

    /// Documents follow each other with or without white space (cloud-hypervisor 54).
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.pending.extend(bytes);
        let mut documents =
            serde_json::Deserializer::from_slice(&self.pending).into_iter::<Event>();
        let mut restarts = false;
        while let Some(Ok(event)) = documents.next() {
            restarts |= event.source == "vm" && event.event == "rebooting";
        }
        let done = documents.byte_offset();
        self.pending.drain(..done);
        if self.pending.len() > MOST {
            self.pending.clear();
        }
        restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_found_among_other_events() {
        let mut events = Events::new(File::open("/dev/null").unwrap());
        let booted = br#"{"timestamp":{"secs":0,"nanos":1},"source":"vm","event":"booted","properties":null}"#;
        assert!(!events.take(booted));
        let (start, end) = (
            &br#"{"source":"vm","eve"#[..],
            &br#"nt":"rebooting","properties":null}

{"source""#[..],
        );
        assert!(!events.take(start));
        assert!(events.take(end));
        assert!(!events.take(br#":"virtio-device","event":"activated"}"#));
        assert!(events.pending.is_empty());
    }
}
