//! What was used between two looks.

use std::time::Duration;

use super::{Figures, Traffic};

/// A second each; `None` where a count is not told, or began anew between the looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Of one processor: 200 is two of them.
    pub processor_percent: Option<f64>,
    pub disk_read: Option<u64>,
    pub disk_written: Option<u64>,
    pub received: Option<u64>,
    pub sent: Option<u64>,
}

/// From two looks at one process, `apart` from each other.
pub fn rates(
    before: (&Figures, Option<Traffic>),
    after: (&Figures, Option<Traffic>),
    apart: Duration,
) -> Rates {
    let ((old, old_traffic), (new, new_traffic)) = (before, after);
    if old.started != new.started || apart.is_zero() {
        return Rates::default();
    }
    let disk = old.disk.zip(new.disk);
    let traffic = old_traffic.zip(new_traffic);
    let used = new.processor.checked_sub(old.processor);
    Rates {
        processor_percent: used.map(|used| used.as_secs_f64() / apart.as_secs_f64() * 100.0),
        disk_read: disk.and_then(|(a, b)| per_second(a.read_bytes, b.read_bytes, apart)),
        disk_written: disk.and_then(|(a, b)| per_second(a.written_bytes, b.written_bytes, apart)),
        received: traffic.and_then(|(a, b)| per_second(a.received_bytes, b.received_bytes, apart)),
        sent: traffic.and_then(|(a, b)| per_second(a.sent_bytes, b.sent_bytes, apart)),
    }
}

fn per_second(before: u64, after: u64, apart: Duration) -> Option<u64> {
    let millis = apart.as_millis().max(1);
    let rate = u128::from(after.checked_sub(before)?) * 1000 / millis;
    u64::try_from(rate).ok()
}
