//! The helpers that our initrd leaves in its guests, for guests with an initrd of their own.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use spec::agent::Channel;
use spec::vm::{Arch, Hypervisor};

use super::{boot, guest_init};

/// What the agent is told; `None` where the hypervisor asks for a stop by itself.
pub fn agent(hypervisor: Hypervisor, arch: Arch) -> Option<[String; 2]> {
    let channel = Channel::of(hypervisor, arch)?;
    Some(boot::agent_at(channel).words())
}

/// What is told that runs the host's commands.
pub fn commands(hypervisor: Hypervisor) -> &'static str {
    boot::commands(hypervisor).word()
}

/// Writes `bin/microvm-agent` and `bin/microvm-exec`, which are one static program.
pub fn write(arch: Arch, out: &Path) -> io::Result<()> {
    let program = guest_init(arch);
    if program.is_empty() {
        let message = format!("this program has no guest-init for {arch}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let bin = out.join("bin");
    fs::create_dir_all(&bin)?;
    let agent = bin.join("microvm-agent");
    fs::write(&agent, program)?;
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755))?;
    symlink("microvm-agent", bin.join("microvm-exec"))
}
