//! SSH: keys of users, a host key made at first boot, logins without a password only if asked for.

use std::path::Path;

use super::accounts::Accounts;
use super::{Customisation, units, write};
use crate::error::Error;

/// Makes the host keys before sshd starts.
pub(super) const KEY_UNIT: &str = "microvm-ssh-host-keys.service";

/// Only ed25519: making others takes an emulated guest seconds. Below /var, so that a volume there
/// keeps the key; flushed before it gets its name, so that power cut off at first boot leaves none
/// that is empty.
const KEY_SERVICE: &str = "\
[Unit]
Description=Make the SSH host key of this machine
DefaultDependencies=no
RequiresMountsFor=/var/lib/ssh
After=systemd-tmpfiles-setup.service
Before=ssh.service ssh.socket sshd.service shutdown.target
Conflicts=shutdown.target
ConditionPathExists=!/var/lib/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
RemainAfterExit=yes
UMask=0077
ExecStart=/bin/sh -e -c 'mkdir -p /var/lib/ssh; cd /var/lib/ssh; \\
    rm -f new new.pub; \\
    ssh-keygen -q -t ed25519 -N \"\" -C \"\" -f new; \\
    sync new new.pub; \\
    mv new.pub ssh_host_ed25519_key.pub; \\
    mv new ssh_host_ed25519_key'

[Install]
WantedBy=multi-user.target
";
/// Debian's own (from trixie on) makes an RSA key as well, in /etc: again at each boot of a guest
/// that forgets.
const DEBIAN_KEY_UNIT: &str = "sshd-keygen.service";
/// sshd must not start without its keys.
const SSH_DROP_IN: &str = "\
[Unit]
Wants=microvm-ssh-host-keys.service
After=microvm-ssh-host-keys.service
";
const HOST_KEY: &str = "HostKey /var/lib/ssh/ssh_host_ed25519_key\n";

/// sshd's own default, and what the host gives for a while: through guest-init over vsock, or as a
/// credential (systemd 256 and later take that by themselves; sshd reads it as root alone can).
const KEYS: &str = "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 \
                    /run/microvm/authorized_keys/%u \
                    /run/credentials/@system/ssh.ephemeral-authorized_keys-all\n";

/// Whether the tree has an sshd that reads configuration fragments.
pub(super) fn is_configured(root: &Path) -> bool {
    root.join("usr/sbin/sshd").exists() && root.join("etc/ssh/sshd_config.d").is_dir()
}

/// Sets sshd up, where the tree has one; its host keys are taken out.
pub(super) fn configure(root: &Path, guest: &Customisation) -> Result<(), Error> {
    if !is_configured(root) {
        return Ok(());
    }
    for key in write::list(&root.join("etc/ssh")) {
        let name = key
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("ssh_host_") {
            write::remove(&key)?;
        }
    }
    let mut config = format!("{HOST_KEY}{KEYS}");
    if guest.allows_empty_passwords() {
        config.push_str("PermitEmptyPasswords yes\n");
    }
    if guest.root_password.is_empty() {
        config.push_str("PermitRootLogin yes\n");
    }
    let units = root.join("etc/systemd/system");
    if units::exists(root, DEBIAN_KEY_UNIT) {
        write::link(&units.join(DEBIAN_KEY_UNIT), "/dev/null")?;
    }
    for (path, text) in [
        (
            root.join("etc/ssh/sshd_config.d/10-microvm.conf"),
            config.as_str(),
        ),
        (units.join(KEY_UNIT), KEY_SERVICE),
        (units.join("ssh.service.d/microvm.conf"), SSH_DROP_IN),
        // systemd's own listener on AF_VSOCK starts one of these for each connection.
        (units.join("sshd@.service.d/microvm.conf"), SSH_DROP_IN),
    ] {
        write::replace(&path, text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Writes the keys that let somebody in as `name`.
pub(super) fn authorized_keys(
    root: &Path,
    accounts: &Accounts,
    name: &str,
    keys: &[String],
) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let identity = accounts
        .identity(name)
        .ok_or_else(|| Error::Guest(format!("The guest has no user `{name}`")))?;
    let home = root.join(identity.home.strip_prefix("/").unwrap_or(&identity.home));
    let dir = home.join(".ssh");
    write::directory(&dir)?;
    write::mode(&dir, 0o700)?;
    write::own(&dir, identity.uid, identity.gid)?;
    let file = dir.join("authorized_keys");
    let lines: String = keys.iter().map(|key| format!("{}\n", key.trim())).collect();
    write::replace(&file, lines.as_bytes(), 0o600)?;
    write::own(&file, identity.uid, identity.gid)
}
