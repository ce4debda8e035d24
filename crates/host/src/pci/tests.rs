//! Against a tree that looks like sysfs; a thread stands for the kernel that binds.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("sys/bus/pci");
        fs::create_dir_all(sys.join("drivers").join(DRIVER)).unwrap();
        fs::create_dir_all(sys.join("devices")).unwrap();
        fs::create_dir_all(root.path().join("dev/vfio")).unwrap();
        fs::write(sys.join("drivers_probe"), "").unwrap();
        Self { root }
    }

    fn pci(&self) -> Pci {
        Pci {
            sys: self.root.path().join("sys"),
            dev: self.root.path().join("dev"),
        }
    }

    fn device(&self, address: &str, class: &str, group: Option<&str>, driver: Option<&str>) {
        let device = self.pci().device(address);
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("class"), format!("{class}\n")).unwrap();
        fs::write(device.join("driver_override"), "(null)\n").unwrap();
        if let Some(group) = group {
            let group = self.root.path().join("sys/kernel/iommu_groups").join(group);
            fs::create_dir_all(group.join("devices")).unwrap();
            symlink(&device, group.join("devices").join(address)).unwrap();
            symlink(&group, device.join("iommu_group")).unwrap();
        }
        if let Some(driver) = driver {
            let driver = self.root.path().join("sys/bus/pci/drivers").join(driver);
            fs::create_dir_all(&driver).unwrap();
            fs::write(driver.join("unbind"), "").unwrap();
            symlink(&driver, device.join("driver")).unwrap();
        }
    }

    /// Binds what is written to `drivers_probe`, as the kernel does.
    fn with_kernel<T>(&self, run: impl FnOnce(&Pci) -> T) -> T {
        let (pci, stop) = (self.pci(), Arc::new(AtomicBool::new(false)));
        let (kernel, told) = (pci.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let probe = kernel.sys.join("bus/pci/drivers_probe");
                let address = fs::read_to_string(&probe).unwrap();
                if !address.is_empty() {
                    let device = kernel.device(&address);
                    let driver = fs::read_to_string(device.join("driver_override")).unwrap();
                    let _ = fs::remove_file(device.join("driver"));
                    let driver = kernel.sys.join("bus/pci/drivers").join(driver);
                    symlink(driver, device.join("driver")).unwrap();
                    fs::write(&probe, "").unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let result = run(&pci);
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        result
    }
}

const NIC: &str = "0000:06:00.0";

fn wanted(addresses: &[&str]) -> Vec<String> {
    addresses
        .iter()
        .map(|address| (*address).to_owned())
        .collect()
}

#[test]
fn a_device_and_its_group_go_to_vfio() {
    let tree = Tree::new();
    tree.device(NIC, "0x020000", Some("7"), Some("e1000e"));
    tree.device("0000:06:00.1", "0x020000", Some("7"), None);
    tree.device("0000:00:01.0", "0x060400", Some("7"), Some("shpchp"));
    tree.with_kernel(|pci| pci.set_up(&wanted(&[NIC]), None))
        .unwrap();
    let pci = tree.pci();
    assert_eq!(pci.driver_of(NIC).as_deref(), Some(DRIVER));
    let unbind = pci.sys.join("bus/pci/drivers/e1000e/unbind");
    assert_eq!(fs::read_to_string(unbind).unwrap(), NIC);
    // Again, with no kernel that would answer: there is nothing to do.
    pci.set_up(&wanted(&[NIC]), None).unwrap();
}

#[test]
fn a_group_that_the_host_uses_is_refused_whole() {
    let tree = Tree::new();
    tree.device(NIC, "0x020000", Some("7"), Some("e1000e"));
    tree.device("0000:06:00.1", "0x010601", Some("7"), Some("ahci"));
    tree.device("0000:06:00.2", "0x0c0330", Some("7"), Some("xhci_hcd"));
    let pci = tree.pci();
    let error = pci.set_up(&wanted(&[NIC]), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The PCI device `0000:06:00.0` shares IOMMU group 7 with devices that the host uses: \
         0000:06:00.1 (ahci), 0000:06:00.2 (xhci_hcd); add them to `devices`, or take their \
         drivers away"
    );
    assert_eq!(error.kind(), Kind::Busy);
    let untouched = fs::read_to_string(pci.device(NIC).join("driver_override")).unwrap();
    assert_eq!(untouched, "(null)\n");
    let all = wanted(&[NIC, "0000:06:00.1", "0000:06:00.2"]);
    tree.with_kernel(|pci| pci.set_up(&all, None)).unwrap();
}

#[test]
fn everything_that_stands_against_it_is_told_at_once() {
    let tree = Tree::new();
    tree.device("0000:05:00.0", "0x020000", None, Some("igb"));
    fs::remove_dir(tree.pci().sys.join("bus/pci/drivers").join(DRIVER)).unwrap();
    let error = tree
        .pci()
        .set_up(&wanted(&["0000:04:00.0", "0000:05:00.0"]), None)
        .unwrap_err()
        .to_string();
    for part in [
        "no PCI device `0000:04:00.0`",
        "`0000:05:00.0` is in no IOMMU group",
        "modprobe vfio-pci",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_groups_node_is_given_to_the_user() {
    let tree = Tree::new();
    tree.device(NIC, "0x020000", Some("7"), Some(DRIVER));
    let node = tree.root.path().join("dev/vfio/7");
    fs::write(&node, "").unwrap();
    let me = nix::unistd::getuid().as_raw();
    tree.pci().set_up(&wanted(&[NIC]), Some(me)).unwrap();
    fs::remove_file(node).unwrap();
    let error = tree.pci().set_up(&wanted(&[NIC]), Some(me)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
