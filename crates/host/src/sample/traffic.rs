//! What goes through the interfaces of a VM, as the guest sees it.

use super::Kernel;

/// Bytes since the interface was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By the guest.
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

impl Kernel {
    /// Of some interfaces together; `None` where none of them is there.
    pub fn traffic(&self, interfaces: &[String]) -> Option<Traffic> {
        let all = interfaces.iter().filter_map(|id| self.of_interface(id));
        all.reduce(|sum, one| Traffic {
            received_bytes: sum.received_bytes.saturating_add(one.received_bytes),
            sent_bytes: sum.sent_bytes.saturating_add(one.sent_bytes),
        })
    }

    fn of_interface(&self, id: &str) -> Option<Traffic> {
        let directory = format!("sys/class/net/{id}");
        let count = |name| {
            let text = self.read(&format!("{directory}/statistics/{name}_bytes"))?;
            text.trim().parse::<u64>().ok()
        };
        let (received, sent) = (count("rx")?, count("tx")?);
        // A tap's far end is the guest: what the host receives from it, the guest has sent. A
        // macvtap is the guest's own end.
        let is_tap = self.root.join(&directory).join("tun_flags").exists();
        let (received_bytes, sent_bytes) = match is_tap {
            true => (sent, received),
            false => (received, sent),
        };
        Some(Traffic {
            received_bytes,
            sent_bytes,
        })
    }
}
