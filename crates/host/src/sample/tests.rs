//! Figures of a made-up kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Disk, Figures, Kernel, Rates, Traffic, rates};

const STAT: &str = "42 (microvm@a) (b c) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 7 7 20 0 9 0 12345 \
                    99 11 18446744073709551615 1 1";
const STATUS: &str =
    "Name:\tmicrovm@a\nVmRSS:\t  204800 kB\nRssAnon:\t 1 kB\nHugetlbPages:\t   2048 kB\n";
const IO: &str =
    "rchar: 9\nwchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn kernel() -> (tempfile::TempDir, Kernel) {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "proc/42/stat", STAT);
    write(root.path(), "proc/42/status", STATUS);
    let kernel = Kernel::below(root.path(), 100);
    (root, kernel)
}

#[test]
fn a_process_is_read() {
    let (root, kernel) = kernel();
    let mut expected = Figures {
        started: Duration::from_millis(123_450),
        processor: Duration::from_secs(3),
        resident_bytes: (200 + 2) << 20,
        disk: None,
    };
    assert_eq!(kernel.process(42), Some(expected.clone()));
    write(root.path(), "proc/42/io", IO);
    expected.disk = Some(Disk {
        read_bytes: 4096,
        written_bytes: 8192,
    });
    assert_eq!(kernel.process(42), Some(expected));
    assert_eq!(kernel.process(43), None);
}

#[rstest::rstest]
#[case("")]
#[case("42 (a) S 1 2")]
#[case("42 (a) S 1 42 42 0 -1 4194560 1 0 0 0 many 50 7 7 20 0 9 0 12345")]
fn what_is_no_stat_is_no_process(#[case] stat: &str) {
    let (root, kernel) = kernel();
    write(root.path(), "proc/42/stat", stat);
    assert_eq!(kernel.process(42), None);
}

#[test]
fn this_process_is_read_from_the_real_kernel() {
    let figures = Kernel::here().process(std::process::id()).unwrap();
    assert!(figures.resident_bytes > 100_000 && figures.started > Duration::ZERO);
    assert!(figures.disk.is_some(), "our own input and output is told");
}

#[test]
fn the_host_has_memory_and_a_start() {
    let (root, kernel) = kernel();
    assert_eq!((kernel.memory(), kernel.uptime()), (None, None));
    write(root.path(), "proc/uptime", "350735.47 234388.90\n");
    let meminfo = "MemTotal: 4096 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n";
    write(root.path(), "proc/meminfo", meminfo);
    assert_eq!(kernel.memory(), Some((4096 << 10, 3072 << 10)));
    assert_eq!(kernel.uptime(), Some(Duration::from_millis(350_735_470)));
}

#[test]
fn traffic_is_the_guests() {
    let (root, kernel) = kernel();
    for id in ["tap0", "macvtap0"] {
        write(
            root.path(),
            &format!("sys/class/net/{id}/statistics/rx_bytes"),
            "100\n",
        );
        write(
            root.path(),
            &format!("sys/class/net/{id}/statistics/tx_bytes"),
            "7\n",
        );
    }
    write(root.path(), "sys/class/net/tap0/tun_flags", "0x1002\n");
    let of = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        kernel
            .traffic(&ids)
            .map(|t| (t.received_bytes, t.sent_bytes))
    };
    assert_eq!(of(&["tap0"]), Some((7, 100)));
    assert_eq!(of(&["macvtap0"]), Some((100, 7)));
    assert_eq!(of(&["tap0", "macvtap0", "absent"]), Some((107, 107)));
    assert_eq!((of(&["absent"]), of(&[])), (None, None));
}

#[test]
fn holders_are_found_by_the_lock_they_have_open() {
    let (root, kernel) = kernel();
    let open = |pid: u32, fd: u32, target: &str| {
        let dir = root.path().join(format!("proc/{pid}/fd"));
        fs::create_dir_all(&dir).unwrap();
        std::os::unix::fs::symlink(target, dir.join(fd.to_string())).unwrap();
    };
    open(42, 200, "/srv/vms/web.lock");
    // A shell's `exec 200>…` moves ours by one.
    open(43, 200, "/tmp/script");
    open(43, 201, "/home/me/db.lock");
    open(44, 3, "/srv/vms/other.lock");
    open(45, 200, "/srv/vms/gone.lock (deleted)");
    open(46, 200, "/srv/vms/.microvm/run/web:hypervisor.lock");
    let found = kernel.holders();
    let found: Vec<_> = found
        .iter()
        .map(|h| (h.pid, &*h.vm, h.dir.to_str()))
        .collect();
    assert_eq!(
        found,
        [(43, "db", Some("/home/me")), (42, "web", Some("/srv/vms"))]
    );
}

#[test]
fn rates_are_of_one_process() {
    let look = |seconds, bytes, started| Figures {
        started: Duration::from_secs(started),
        processor: Duration::from_secs(seconds),
        resident_bytes: 0,
        disk: Some(Disk {
            read_bytes: bytes,
            written_bytes: 2 * bytes,
        }),
    };
    let traffic = |bytes| {
        Some(Traffic {
            received_bytes: bytes,
            sent_bytes: 0,
        })
    };
    let (old, new) = (look(1, 1000, 5), look(4, 3000, 5));
    let apart = Duration::from_secs(2);
    let expected = Rates {
        processor_percent: Some(150.0),
        disk_read: Some(1000),
        disk_written: Some(2000),
        received: Some(50),
        sent: Some(0),
    };
    let between = |old, new| rates(old, new, apart);
    assert_eq!(between((&old, traffic(0)), (&new, traffic(100))), expected);
    // An interface that was made anew has no rate; a process that was started anew has none at all.
    let anew = between((&old, traffic(100)), (&new, traffic(0)));
    assert_eq!((anew.received, anew.disk_read), (None, Some(1000)));
    let restarted = look(4, 3000, 6);
    assert_eq!(between((&old, None), (&restarted, None)), Rates::default());
    assert_eq!(
        rates((&old, None), (&new, None), Duration::ZERO),
        Rates::default()
    );
}
