//! Who is attached to a console: each is told what the guest says, at its own speed.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;

use super::outlet::{Waiting, Wrote};

/// What waits for a slow reader.
pub const WAITING: usize = 256 << 10;
const MOST: usize = 16;

#[derive(Default)]
pub struct Clients(Vec<Client>);

struct Client {
    stream: UnixStream,
    waiting: Waiting,
    gone: bool,
}

impl Clients {
    /// One more, who first sees what was said before.
    pub fn attach(&mut self, stream: UnixStream, before: &[u8]) {
        if self.0.len() == MOST || stream.set_nonblocking(true).is_err() {
            return;
        }
        let mut waiting = Waiting::default();
        waiting.push(before, WAITING);
        self.0.push(Client {
            stream,
            waiting,
            gone: false,
        });
    }

    /// What to wait for at each.
    pub fn awaited(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.0.iter().map(|client| {
            let writes = match client.waiting.is_empty() {
                true => PollFlags::empty(),
                false => PollFlags::OUT,
            };
            (client.stream.as_fd(), PollFlags::IN | writes)
        })
    }

    pub fn told(&mut self, bytes: &[u8]) {
        for client in &mut self.0 {
            client.waiting.push(bytes, WAITING);
        }
    }

    /// Goes on with the one at an index, which is ready for `flags`; gives what it typed.
    pub fn serve(&mut self, index: usize, flags: PollFlags) -> Vec<u8> {
        match self.0.get_mut(index) {
            Some(client) => client.serve(flags),
            None => Vec::new(),
        }
    }

    pub fn forget_gone(&mut self) {
        self.0.retain(|client| !client.gone);
    }

    /// Gives each what it can take without waiting.
    pub fn take_leave(&mut self) {
        for client in &mut self.0 {
            client.flush();
        }
    }
}

impl Client {
    fn serve(&mut self, flags: PollFlags) -> Vec<u8> {
        if flags.contains(PollFlags::OUT) {
            self.gone |= self.waiting.write_to(&self.stream) == Wrote::Gone;
        }
        if !flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return Vec::new();
        }
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer) {
            Ok(count @ 1..) => return buffer[..count].to_vec(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.gone = true,
        }
        Vec::new()
    }

    fn flush(&mut self) {
        while !self.waiting.is_empty() {
            let before = self.waiting.len();
            let wrote = self.waiting.write_to(&self.stream);
            if wrote == Wrote::Gone || self.waiting.len() == before {
                return;
            }
        }
    }
}
