//! Last words of Firecracker and Cloud Hypervisor, which tell a failure as the chain of its causes:
//! the one in Rust's own notation, the other line by line.

use super::{Cause, between};

/// What Firecracker's last line means (1.17).
pub fn firecracker(said: &str) -> Option<Cause> {
    let line = said
        .lines()
        .find(|line| line.starts_with("Error: RunWith"))?;
    let message = || between(line, "message: \"", "\"").unwrap_or("unknown");
    let named = || between(line, "}, \"", "\"");
    if line.contains("TapOpen(") {
        let interface = named().unwrap_or("/dev/net/tun");
        let said = format!("`{interface}`: {}", message());
        return Some(Cause::Interface { said });
    }
    if line.contains("BackingFile(") {
        return file(named()?, line);
    }
    if line.contains("(Kvm(Kvm(Error(13") {
        let path = "/dev/kvm".to_owned();
        return Some(Cause::Denied { path });
    }
    None
}

fn file(path: &str, line: &str) -> Option<Cause> {
    let path = path.to_owned();
    if line.contains("kind: NotFound") || line.contains("No such file or directory") {
        Some(Cause::NoFile { path })
    } else if line.contains("PermissionDenied") || line.contains("Permission denied") {
        Some(Cause::Denied { path })
    } else {
        None
    }
}

/// What Cloud Hypervisor's chain means (54).
pub fn cloud_hypervisor(said: &str) -> Option<Cause> {
    let chain = chain(said)?;
    if chain.contains("Failed to open taps") || chain.contains("Open tap device failed") {
        return Some(Cause::Interface { said: chain });
    }
    if let Some(path) = between(&chain, "(path=", " op=open") {
        return file(path, &chain);
    }
    if said.contains("Failed to open hypervisor interface") && chain.contains("Permission denied") {
        let path = "/dev/kvm".to_owned();
        return Some(Cause::Denied { path });
    }
    None
}

/// The causes in one line. The first says what was done to the VM, which everybody knows.
pub fn chain(said: &str) -> Option<String> {
    let (_, lines) = said.split_once("exited with the following chain of errors:")?;
    let causes = lines.lines().filter_map(|line| {
        let (number, cause) = line.trim().split_once(": ")?;
        (number.parse::<u32>().ok()? > 0).then_some(cause)
    });
    let causes: Vec<&str> = causes.collect();
    (!causes.is_empty()).then(|| causes.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = r#"Error: RunWithApi(BuildFromJson(ParseFromJson(BlockDevice(CreateBlockDevice(VirtioBackend(BackingFile(Os { code: 2, kind: NotFound, message: "No such file or directory" }, "missing.img")))))))"#;
    const BUSY: &str = r#"Error: RunWithApi(BuildFromJson(ParseFromJson(NetDevice(CreateNetworkDevice(TapOpen(IfreqExecuteError(Os { code: 16, kind: ResourceBusy, message: "Device or resource busy" }, "vm-web")))))))"#;
    const TUN: &str = r#"Error: RunWithoutApi(BuildMicroVMFromJson(ParseFromJson(NetDevice(CreateNetworkDevice(TapOpen(OpenTun(Os { code: 13, kind: PermissionDenied, message: "Permission denied" })))))))"#;
    const KVM: &str = "Error: RunWithApi(BuildFromJson(StartMicroVM(Kvm(Kvm(Error(13))))))";

    #[rstest::rstest]
    #[case(MISSING, "The hypervisor misses the file `missing.img`")]
    #[case(
        BUSY,
        "A network interface cannot be used: `vm-web`: Device or resource busy"
    )]
    #[case(
        TUN,
        "A network interface cannot be used: `/dev/net/tun`: Permission denied"
    )]
    #[case(KVM, "The hypervisor may not open `/dev/kvm`")]
    fn of_firecracker(#[case] said: &str, #[case] expected: &str) {
        assert_eq!(firecracker(said).unwrap().to_string(), expected);
        assert_eq!(cloud_hypervisor(said), None);
    }

    fn chain_of(causes: &[&str]) -> String {
        let lines: Vec<String> = (0..)
            .zip(causes)
            .map(|(n, cause)| format!("  {n}: {cause}\n"))
            .collect();
        format!(
            "cloud-hypervisor:   0.03s: <main> ERROR: Fatal error: VmBoot(..)\nError: Cloud \
             Hypervisor exited with the following chain of errors:\n{}",
            lines.concat()
        )
    }

    #[rstest::rstest]
    #[case(
        &["Error booting VM", "The VM could not boot", "Cannot open disk path",
          "I/O error (path=missing.img op=open)", "No such file or directory (os error 2)"],
        "The hypervisor misses the file `missing.img`"
    )]
    #[case(
        &["Error booting VM", "Cannot create virtio-net device", "Failed to open taps",
          "Device or resource busy (os error 16)"],
        "A network interface cannot be used: Cannot create virtio-net device: Failed to open taps: Device or resource busy (os error 16)"
    )]
    #[case(
        &["Failed to open hypervisor interface (is hypervisor interface available?)",
          "Failed to create Vm", "Permission denied (os error 13)"],
        "The hypervisor may not open `/dev/kvm`"
    )]
    fn of_cloud_hypervisor(#[case] causes: &[&str], #[case] expected: &str) {
        let said = chain_of(causes);
        assert_eq!(cloud_hypervisor(&said).unwrap().to_string(), expected);
        assert_eq!(firecracker(&said), None);
    }

    #[test]
    fn others_are_told_as_a_chain() {
        let said = chain_of(&["Error booting VM", "The VM could not boot", "Something odd"]);
        assert_eq!(
            chain(&said).unwrap(),
            "The VM could not boot: Something odd"
        );
        assert_eq!(chain("qemu: odd"), None);
    }
}
