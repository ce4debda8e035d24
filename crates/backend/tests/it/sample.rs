//! A small VM, guest files and host facts for other tests to change.

use std::collections::BTreeSet;
use std::path::PathBuf;

use backend::plan::{Accel, Action, GuestFiles, HostFacts, Plan, Version};
use spec::Vm;
use spec::vm::Hypervisor;

pub const TSC_KHZ: u32 = 2_400_000;

/// As small as a VM gets, and every option off.
pub fn vm() -> Vm {
    let package = serde_json::json!({ "package": null });
    serde_json::from_value(serde_json::json!({
        "name": "web", "hypervisor": "qemu", "arch": "x86_64", "vcpu": 1, "cpu": null,
        "memory": { "mem_mib": 512, "hugepages": false, "hotplug": null, "balloon": null },
        "boot": { "kernel": "auto", "initrd": null, "kernel_params": [] },
        "store": {
            "kind": { "erofs": { "flags": [] } },
            "writable_overlay": null, "register_closure": true,
        },
        "volumes": [], "shares": [], "interfaces": [], "forward_ports": [], "devices": [],
        "vsock": null, "socket": "web.sock", "user": null, "pre_start": "",
        "extra_args_script": null, "pretty_procnames": true,
        "machine_id": "00112233445566778899aabbccddeeff", "register_with_machined": false,
        "credential_files": {}, "graphics": null,
        "virtiofsd": {
            "program": null, "group": null, "thread_pool_size": null,
            "inode_file_handles": null, "extra_args": [],
        },
        "options": {
            "qemu": {
                "machine": "microvm", "machine_opts": null, "extra_args": [],
                "serial_console": true, "pcie_root_ports": [], "package": null,
            },
            "cloud_hypervisor": {
                "platform_oem_strings": [], "extra_args": [], "package": null,
            },
            "crosvm": { "pivot_root": null, "extra_args": [], "package": null },
            "firecracker": {
                "cpu": null, "drive_io_engine": "Async", "extra_args": [],
                "extra_config": {}, "package": null,
            },
            "kvmtool": package, "stratovirt": package, "alioth": package,
            "vfkit": { "log_level": null, "extra_args": [], "rosetta": null, "package": null },
        },
        "guest": {
            "source": { "directory": "/srv/root" }, "root_password": null, "ssh_keys": [],
            "users": {}, "autologin": null, "files": {}, "enable": [], "network": "dhcp",
            "run": [],
        },
    }))
    .unwrap()
}

pub fn guest() -> GuestFiles {
    GuestFiles {
        kernel: "/s/kernel/vmlinuz".into(),
        initrd: "/s/initrd/initrd".into(),
        store_disk: Some("/s/disk/store.erofs".into()),
        root_tree: None,
        kernel_params: vec!["guest.param=1".to_owned()],
    }
}

pub fn root_share_guest() -> GuestFiles {
    GuestFiles {
        store_disk: None,
        root_tree: Some("/s/root".into()),
        ..guest()
    }
}

pub fn facts() -> HostFacts {
    HostFacts {
        program: "/usr/bin/qemu-system-x86_64".into(),
        state: "/var/lib/microvms/web".into(),
        version: Version(7, 2, 22),
        accel: Accel::Kvm,
        no_kvm: None,
        built_in: false,
        options: BTreeSet::new(),
        vhost_net: true,
        vhost_vsock: true,
        landlock_abi: 7,
        sandbox: true,
        io_uring: true,
        bridge_helper: Some(PathBuf::from("/usr/lib/qemu/qemu-bridge-helper")),
        relay: Some("/usr/bin/microvm".into()),
        root: false,
        macos: false,
        hugetlbfs: Some("/dev/hugepages".into()),
        iommu_groups: [("06:00.0", 12), ("06:00.1", 12), ("07:00.0", 9)]
            .map(|(address, group)| (format!("0000:{address}"), group))
            .into(),
    }
}

/// A host that has everything, with the newest version of a hypervisor.
pub fn facts_of(hypervisor: Hypervisor) -> HostFacts {
    HostFacts {
        program: format!("/usr/bin/{hypervisor}").into(),
        version: Version(9999, 0, 0),
        options: options_of(hypervisor),
        root: true,
        macos: hypervisor == Hypervisor::Vfkit,
        ..facts()
    }
}

/// Options of the newest version that are not in every build or every older version.
fn options_of(hypervisor: Hypervisor) -> BTreeSet<String> {
    let options: &[&str] = match hypervisor {
        Hypervisor::CloudHypervisor => &["--landlock", "--pvpanic", "--watchdog"],
        Hypervisor::Firecracker => &["--enable-pci"],
        Hypervisor::Crosvm => &[
            "--block",
            "--disable-sandbox",
            "--hugepages",
            "--init-mem",
            "--initrd",
            "--mem",
            "--net",
            "--no-balloon",
            "--no-usb",
            "--params",
            "--pivot-root",
            "--serial",
            "--shared-dir",
            "--socket",
            "--vfio",
            "--vhost-user",
            "--vsock",
            "--cpus",
            "balloon",
            "create_qcow2",
        ],
        Hypervisor::Kvmtool => &[
            "--9p",
            "--balloon",
            "--console",
            "--hugetlbfs",
            "--name",
            "--network",
            "--nodefaults",
            "--rng",
            "--tty",
            "--vfio-pci",
            "--vsock",
        ],
        _ => &[],
    };
    options.iter().map(|option| (*option).to_owned()).collect()
}

pub fn tcg() -> Accel {
    Accel::Tcg {
        tsc_khz: Some(TSC_KHZ),
    }
}

/// What stands before the hypervisor and its arguments, one a line.
pub fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for action in &plan.before {
        match action {
            Action::PassFile { name, fd, .. } => {
                text.push_str(&format!("before: file {fd} `{name}`\n"));
            }
            other => text.push_str(&format!("before: {}\n", serde_json::json!(other))),
        }
    }
    for (variable, value) in &plan.argv.env {
        text.push_str(&format!("{variable}={value} "));
    }
    text.push_str(&format!("{}\n", plan.argv.program.display()));
    for arg in &plan.argv.args {
        let indent = if arg.starts_with('-') { "  " } else { "    " };
        text.push_str(&format!("{indent}{arg}\n"));
    }
    text
}

/// All of a plan, with the files that it passes.
pub fn show_all(plan: &Plan) -> String {
    let mut text = show(plan);
    for action in &plan.before {
        if let Action::PassFile { name, content, fd } = action {
            text.push_str(&format!("file {fd} `{name}`:\n{content}\n"));
        }
    }
    let (control, console) = (serde_json::json!(plan.control), &plan.console);
    text.push_str(&format!("control: {control}\n"));
    text.push_str(&format!("console: {}\n", serde_json::json!(console)));
    text
}
