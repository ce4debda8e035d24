//! The daemon of a VM's virtiofs shares: a process that outlives its keeper.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use spec::names::VmName;

use super::Told;
use crate::service::Error;
use crate::service::part::{self, Part};

/// Longest that shares may take until they are served.
const START: Duration = Duration::from_secs(20);

/// Longest that they have to end before they are killed.
const STOP: Duration = Duration::from_secs(4);

/// Starts it, where the package has shares, and waits until it says that it serves.
pub fn start(told: &Told, run: &Path, own: &Path) -> Result<(), Error> {
    let program = told.package.join("bin/virtiofsd-run");
    if !program.exists() || Part::Shares.process(run, &told.name).is_some() {
        return Ok(());
    }
    let failed = |source| Error::io("listen for", &program, source);
    let name = format!("microvm-shares-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).map_err(failed)?;
    let socket = UnixDatagram::bind_addr(&address).map_err(failed)?;
    let step = Duration::from_millis(100);
    socket.set_read_timeout(Some(step)).map_err(failed)?;
    let part = part::Told {
        run: run.to_owned(),
        lock: Part::Shares.lock_name(&told.name),
        program: program.clone(),
        // Files of a share belong to many users.
        account: None,
    };
    let mut child = part.start(own, Some(&format!("@{name}")))?;
    let deadline = Instant::now() + START;
    let mut said = [0; 256];
    while Instant::now() < deadline {
        let length = socket.recv(&mut said).unwrap_or(0);
        let mut lines = said[..length].split(|byte| *byte == b'\n');
        if lines.any(|line| line == b"READY=1") {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            let program = "virtiofsd-run".to_owned();
            return Err(Error::Program { program, status });
        }
    }
    stop(run, &told.name);
    Err(Error::Start {
        name: told.name.to_string(),
        said: format!("its shares were not served after {} s", START.as_secs()),
    })
}

/// Ends it, with a bound; none is fine.
pub fn stop(run: &Path, name: &VmName) {
    let Some(process) = Part::Shares.process(run, name) else {
        return;
    };
    process.signal(Signal::TERM);
    if !process.wait(STOP) {
        process.signal(Signal::KILL);
        process.wait(STOP);
    }
}
