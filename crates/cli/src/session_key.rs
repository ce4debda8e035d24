//! Keys for SSH that live as long as a session, or as a run of the VM: nobody has to put one into a
//! guest by hand, and none that is kept lets anybody in.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use host::fleet::{Fleet, SESSION_KEY};
use host::vsock::Target;
use spec::names::VmName;

/// By which systemd, and sshd of our images, know it.
const CREDENTIAL: &str = "ssh.ephemeral-authorized_keys-all";

/// The private half of a run's key, for who starts the VMs alone.
pub fn private(fleet: &Fleet, name: &VmName) -> PathBuf {
    fleet.own_path("keys").join(&**name).join("key")
}

/// A new key for the next run of a VM. Without ssh-keygen(1) there is none, and no more is lost
/// than that.
pub fn renew(fleet: &Fleet, name: &VmName, package: &Path) {
    // Others do not tell their guests of it.
    if !crate::package::is_own(package) {
        return;
    }
    let key = private(fleet, name);
    let Some(dir) = key.parent() else { return };
    let made = private_directory(dir)
        .and_then(|()| {
            let _ = fs::remove_file(&key);
            make(&key)
        })
        .and_then(|()| fs::read_to_string(key.with_extension("pub")))
        .and_then(|public| place(&fleet.dir_of(name).join(SESSION_KEY), &public));
    if let Err(error) = made {
        tracing::debug!("`{name}` gets no key for SSH: {error}");
    }
}

/// What the next of that name has no use for.
pub fn forget(fleet: &Fleet, name: &VmName) {
    if let Some(dir) = private(fleet, name).parent() {
        let _ = fs::remove_dir_all(dir);
    }
}

/// What tells the kernel, and so systemd, of the key in the current directory: it is no secret.
pub fn kernel_parameter() -> Option<String> {
    let text = fs::read_to_string(SESSION_KEY).ok()?;
    let line = text.trim_end();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" +/=-".contains(&byte);
    let is_key = line.starts_with("ssh-ed25519 ") && line.len() < 200 && line.bytes().all(is_plain);
    is_key.then(|| format!("systemd.set_credential=\"{CREDENTIAL}:{line}\""))
}

/// A key that a guest was given for one session; it is taken back at the end.
pub struct Lent<'a> {
    target: &'a Target,
    user: String,
    dir: tempfile::TempDir,
}

impl<'a> Lent<'a> {
    /// `None` where the guest takes none.
    pub fn new(target: &'a Target, user: &str) -> Option<Self> {
        let dir = tempfile::Builder::new()
            .prefix("microvm-ssh-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .ok()?;
        make(&dir.path().join("key")).ok()?;
        let public = fs::read_to_string(dir.path().join("key.pub")).ok()?;
        host::guest_exec::authorize(target, user, public.trim_end()).ok()?;
        Some(Self {
            target,
            user: user.to_owned(),
            dir,
        })
    }

    pub fn private(&self) -> PathBuf {
        self.dir.path().join("key")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let _ = host::guest_exec::authorize(self.target, &self.user, "");
    }
}

fn make(key: &Path) -> std::io::Result<()> {
    let program = host::program::find("ssh-keygen").map_err(std::io::Error::other)?;
    let status = Command::new(program)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "microvm", "-f"])
        .arg(key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(std::io::Error::other(format!(
            "ssh-keygen ended with {status}"
        ))),
    }
}

fn private_directory(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

/// Never through a link that a hypervisor made.
fn place(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    fs::write(file.path(), text)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}
