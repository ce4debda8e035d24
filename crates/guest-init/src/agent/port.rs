//! A virtio-serial port as the agent's channel.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::poll::PollFlags;

use super::channel::{Channel, wait};

const PORTS: &str = "/sys/class/virtio-ports";

/// The kernel has no way to wait for a host that is not connected: poll(2) says at once that the
/// line is hung up.
const AWAY: Duration = Duration::from_millis(250);

/// Serves until the port is taken away.
pub fn serve(name: &str) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(find(name)?)?;
    let mut channel = Channel::new(file);
    loop {
        let [state] = wait([channel.file()])?;
        if state.contains(PollFlags::POLLIN) {
            // It ends where the host is not connected; that is no end of the port.
            channel.proceed()?;
        }
        if state.contains(PollFlags::POLLHUP) {
            channel.forget();
            std::thread::sleep(AWAY);
        }
    }
}

/// By its name in sysfs: udev, which makes the links in /dev/virtio-ports, may not run yet.
fn find(name: &str) -> io::Result<PathBuf> {
    let named = |port: &fs::DirEntry| {
        fs::read_to_string(port.path().join("name")).is_ok_and(|own| own.trim_end() == name)
    };
    let ports = fs::read_dir(PORTS)?.flatten();
    let port = ports.into_iter().find(named).ok_or(ErrorKind::NotFound)?;
    Ok(PathBuf::from("/dev").join(port.file_name()))
}
