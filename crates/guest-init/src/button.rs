//! The power button, as the kernel's input devices report it (linux/input.h).

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::O_NONBLOCK;

/// `struct input_event` of 64-bit machines: two longs of time, type, code, value.
const EVENT: usize = 24;
const EV_KEY: u16 = 1;
const KEY_POWER: u16 = 116;

/// All input devices; a guest has few.
pub struct Buttons {
    devices: Vec<File>,
}

impl Buttons {
    pub fn open() -> Self {
        let entries = std::fs::read_dir("/dev/input")
            .into_iter()
            .flatten()
            .flatten();
        let events =
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("event"));
        let open = |entry: std::fs::DirEntry| {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .custom_flags(O_NONBLOCK)
                .open(entry.path())
                .ok()
        };
        Self {
            devices: events.filter_map(open).collect(),
        }
    }

    /// Where nobody is to be heard any more.
    pub fn none() -> Self {
        Self {
            devices: Vec::new(),
        }
    }

    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.devices.iter().map(AsFd::as_fd)
    }

    /// Whether one was pressed since the last call.
    pub fn are_pressed(&self) -> bool {
        let mut pressed = false;
        for mut device in &self.devices {
            let mut events = [0; EVENT * 16];
            while let Ok(length @ 1..) = device.read(&mut events) {
                pressed |= events[..length].chunks_exact(EVENT).any(is_pressed);
            }
        }
        pressed
    }
}

fn is_pressed(event: &[u8]) -> bool {
    let word = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
    word(16) == EV_KEY && word(18) == KEY_POWER && event[20..24] != [0; 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_power_button_going_down_counts() {
        let mut event = [0; EVENT];
        event[16..18].copy_from_slice(&EV_KEY.to_ne_bytes());
        event[18..20].copy_from_slice(&KEY_POWER.to_ne_bytes());
        assert!(!is_pressed(&event));
        event[20] = 1;
        assert!(is_pressed(&event));
        event[18] = 28;
        assert!(!is_pressed(&event));
    }
}
