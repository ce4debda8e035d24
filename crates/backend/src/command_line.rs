//! The kernel command line, of which every hypervisor has its own head.

use crate::plan::Input;

/// The head, then what every VM has, then the guest's and the user's own, which win. A head with
/// `reboot=` has its own way to reset the machine.
pub(crate) fn command_line(input: &Input, head: &[String]) -> String {
    let mut params = head.to_vec();
    if !params.iter().any(|param| param.starts_with("reboot=")) {
        params.push("reboot=t".to_owned());
    }
    // A panic reboots at once, and a reboot ends the hypervisor; warnings are shown, as systemd's
    // progress is, which `quiet` would hide.
    params.extend(["panic=-1", "loglevel=5"].map(str::to_owned));
    // No hypervisor's SMBIOS carries it everywhere, and the image, which VMs share, has none.
    params.push(format!(
        "systemd.machine_id={}",
        input.vm.machine_id.as_hex()
    ));
    params.extend(input.guest.kernel_params.iter().cloned());
    params.extend(input.vm.boot.kernel_params.iter().cloned());
    params.join(" ")
}
