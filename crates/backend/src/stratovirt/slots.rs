//! Places on the bus, which StratoVirt wants to be told for every device.

use crate::args::{Args, List};

/// The first place after the bridge of the host; the last but one of 32, before the LPC bridge.
const FIRST: u8 = 1;
pub(super) const LAST: u8 = 0x1e;

/// Hands out places in order, so that the guest finds devices in the order in which they are
/// added.
pub(super) struct Slots {
    next: u8,
}

impl Slots {
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// A device at the next place: `name,id=…,bus=…,addr=…`, and what `set` adds.
    pub fn device(
        &mut self,
        args: &mut Args,
        name: &str,
        id: &str,
        set: impl FnOnce(List) -> List,
    ) {
        let device = List::new(name)
            .set("id", id)
            .set("bus", "pcie.0")
            .set("addr", format!("{:#x}", self.next));
        self.next += 1;
        args.pair("-device", set(device));
    }
}
