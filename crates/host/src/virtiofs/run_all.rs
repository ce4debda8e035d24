//! The service that serves all shares of a VM: what `bin/virtiofsd-run` does.

use nix::sys::signal::Signal;

use super::notify::notify;
use super::{Daemons, Error, Shares};
use crate::supervise::Signals;

/// Serves until SIGTERM or SIGINT, or until a daemon fails. When a hypervisor leaves, its
/// daemons end with it; they are started again for the next one, and that is said.
pub fn run_all(shares: &Shares, say: &mut dyn FnMut(String)) -> Result<(), Error> {
    let wanted = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ];
    let signals = Signals::receive(&wanted).map_err(Error::Signals)?;
    let mut daemons = Daemons::start(shares)?;
    notify("READY=1");
    loop {
        let signal = signals.wait(None).map_err(Error::Signals)?;
        if !matches!(signal, None | Some(Signal::SIGCHLD)) {
            notify("STOPPING=1");
            daemons.stop();
            return Ok(());
        }
        for tag in daemons.revive(&shares.server)? {
            say(format!(
                "The hypervisor left the share `{tag}`; it is served again"
            ));
        }
    }
}
