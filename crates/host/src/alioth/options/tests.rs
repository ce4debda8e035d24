//! The arguments that a plan has, and what is said of others.

use std::path::Path;

use alioth::mem::MemBackend;

use super::{Config, Disk, Net, Share, Vsock};

fn parse(more: &[&str]) -> Result<Config, String> {
    let least = [
        "boot",
        "--kernel",
        "/s/vmlinuz",
        "--initramfs",
        "/s/initrd",
        "--cmdline",
        "console=ttyS0 a=b,c",
        "--cpu",
        "count=2",
        "--memory",
        "size=512M,backend=memfd",
    ];
    let arguments: Vec<String> = least.iter().chain(more).map(|a| (*a).to_owned()).collect();
    Config::parse(&arguments).map_err(|error| error.to_string())
}

#[test]
fn all_that_a_plan_has() {
    let config = parse(&[
        "--entropy",
        "--blk",
        "file,path=/s/store.erofs,readonly=true,api=io_uring",
        "--blk",
        "file,path=id_0",
        "--net",
        "tap,if=vm-web,mac=02:00:00:00:00:01,mtu=1500",
        "--fs",
        "vu,socket=files.sock,tag=files",
        "--vsock",
        "uds,cid=3,path=web-vsock.sock",
        "--vfio-group",
        "path=/dev/vfio/12,devices=id_1",
        "--object",
        "id_0,a,b=c.img",
        "--object",
        "id_1,0000:06:00.0,0000:06:00.1",
    ])
    .unwrap();
    assert_eq!(config.board.cpu.count, 2);
    assert_eq!(config.board.mem.size, 512 << 20);
    assert_eq!(config.board.mem.backend, MemBackend::Memfd);
    assert_eq!(config.cmdline.to_bytes(), b"console=ttyS0 a=b,c");
    assert!(config.entropy);
    let [Disk::File(store), Disk::File(odd)] = &config.disks[..] else {
        panic!("{:?}", config.disks);
    };
    assert!(store.readonly && !odd.readonly);
    assert_eq!(&*odd.path, Path::new("a,b=c.img"));
    let [Net::Tap(net)] = &config.nets[..] else {
        panic!("{:?}", config.nets);
    };
    assert_eq!((net.if_name.as_deref(), net.mtu), (Some("vm-web"), 1500));
    let [Share::Vu(share)] = &config.shares[..] else {
        panic!("{:?}", config.shares);
    };
    assert_eq!(share.tag.as_deref(), Some("files"));
    let Some(Vsock::Uds(vsock)) = &config.vsock else {
        panic!("{:?}", config.vsock);
    };
    assert_eq!(vsock.cid, 3);
    assert_eq!(config.vfio_groups[0].devices.len(), 2);
}

#[rstest::rstest]
#[case(&["--firmware", "/x"], "`--firmware` is no option of the hypervisor built in")]
#[case(&["--blk"], "`--blk` has no value")]
#[case(&["--blk", "/x.img"], "`/x.img` of `--blk` cannot be read")]
#[case(&["--blk", "file,path=/x,raedonly=true"], "`file,path=/x,raedonly=true` of `--blk` cannot")]
#[case(&["--object", "x,y"], "`x,y` of `--object` is not `id_NAME,VALUE`")]
fn what_is_wrong_is_named(#[case] more: &[&str], #[case] expected: &str) {
    let error = parse(more).unwrap_err();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn the_version_is_the_crates() {
    let lock = include_str!("../../../../../Cargo.lock");
    let version = super::super::VERSION;
    assert!(lock.contains(&format!("name = \"alioth\"\nversion = \"{version}\"")));
}
