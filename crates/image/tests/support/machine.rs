//! A guest under QEMU; ended with the test.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::Built;

/// Under emulation, on a machine that does other things as well.
pub const PATIENCE: Duration = Duration::from_secs(600);

pub struct Machine {
    pub child: Child,
    pub dir: tempfile::TempDir,
}

impl Machine {
    /// With the store disk; `own` adds to it, and has the directory for what it needs.
    pub fn start(built: &Built, append: &str, own: impl FnOnce(&mut Command, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-accel", "tcg", "-m", "512", "-nodefaults"])
            .args(["-no-user-config", "-display", "none", "-serial"])
            .arg(format!("file:{}", dir.path().join("console").display()))
            .arg("-kernel")
            .arg(&built.kernel)
            .arg("-initrd")
            .arg(&built.initrd)
            .args(["-append", &format!("console=ttyS0 panic=-1 {append}")]);
        let store = built.store_disk.as_ref().unwrap();
        disk(&mut qemu, "store", store, "on");
        own(&mut qemu, dir.path());
        let child = qemu.stdin(Stdio::null()).spawn().unwrap();
        Self { child, dir }
    }

    pub fn console(&self) -> String {
        let bytes = fs::read(self.dir.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    pub fn wait<T>(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(seen) = seen(self) {
                return seen;
            }
            assert!(start.elapsed() < PATIENCE, "{what}:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until QEMU has ended, with success.
    pub fn ends_well(&mut self) {
        let status = self.wait("still runs", |guest| guest.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Machine {
    /// Of a guest that was given [`serve_qmp`].
    pub fn press_the_power_button(&self) {
        let mut qmp = UnixStream::connect(self.dir.path().join("qmp")).unwrap();
        let commands = b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"system_powerdown\"}\n";
        qmp.write_all(commands).unwrap();
        qmp.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let _ = qmp.read_to_end(&mut Vec::new());
    }
}

/// Has QEMU take commands.
pub fn serve_qmp(qemu: &mut Command, dir: &Path) {
    let socket = dir.join("qmp").display().to_string();
    qemu.args(["-qmp", &format!("unix:{socket},server=on,wait=off")]);
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds a disk that the guest knows by its serial number.
pub fn disk(qemu: &mut Command, serial: &str, image: &Path, read_only: &str) {
    let image = image.display();
    let drive = format!("if=none,id={serial},format=raw,readonly={read_only},file={image}");
    let device = format!("virtio-blk-pci,drive={serial},serial={serial}");
    qemu.args(["-drive", &drive, "-device", &device]);
}
