//! The console: who is logged in on it.

use std::path::Path;

use super::accounts::Accounts;
use super::write;
use crate::error::Error;

/// Logs `user` in on every serial console (ttyS0, ttyAMA0, hvc0: whichever the kernel uses) and
/// on virtual terminals, without asking.
pub(super) fn autologin(root: &Path, user: &str, accounts: &Accounts) -> Result<(), Error> {
    if accounts.identity(user).is_none() {
        return Err(Error::Guest(format!(
            "`autologin`: the guest has no user `{}`",
            user.escape_default()
        )));
    }
    // `%` begins a specifier in a unit.
    let user = user.replace('%', "%%");
    let units = root.join("etc/systemd/system");
    for (template, options) in [
        (
            "serial-getty@.service.d",
            "--keep-baud 115200,57600,38400,9600 -",
        ),
        ("getty@.service.d", "--noclear %I"),
    ] {
        let text = format!(
            "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin {user} {options} $TERM\n"
        );
        write::replace(
            &units.join(template).join("autologin.conf"),
            text.as_bytes(),
            0o644,
        )?;
    }
    Ok(())
}
