//! `Ctrl-a` on a console: `x` after it ends the VM, another one is sent once.

const PREFIX: u8 = 0x01;

/// Reads what a person types.
#[derive(Debug, Default)]
pub struct Escape {
    pending: bool,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    /// For the guest.
    pub bytes: Vec<u8>,
    /// Whether the end of the VM was asked for.
    pub end: bool,
}

impl Escape {
    pub fn read(&mut self, input: &[u8]) -> Typed {
        let mut typed = Typed {
            bytes: Vec::with_capacity(input.len()),
            end: false,
        };
        for &byte in input {
            match (std::mem::take(&mut self.pending), byte) {
                (false, PREFIX) => self.pending = true,
                (true, b'x') => typed.end = true,
                (true, PREFIX) | (false, _) => typed.bytes.push(byte),
                // Any other key after it is the guest's, with what came before.
                (true, other) => typed.bytes.extend([PREFIX, other]),
            }
        }
        typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(escape: &mut Escape, input: &[u8]) -> (Vec<u8>, bool) {
        let typed = escape.read(input);
        (typed.bytes, typed.end)
    }

    #[test]
    fn the_prefix_may_come_alone() {
        let mut escape = Escape::default();
        assert_eq!(read(&mut escape, b"ls\x01"), (b"ls".to_vec(), false));
        assert_eq!(read(&mut escape, b"x"), (Vec::new(), true));
    }

    #[test]
    fn what_is_no_command_reaches_the_guest() {
        let mut escape = Escape::default();
        assert_eq!(
            read(&mut escape, b"a\x01\x01x"),
            (b"a\x01x".to_vec(), false)
        );
        assert_eq!(read(&mut escape, b"\x01e\x01"), (b"\x01e".to_vec(), false));
    }
}
