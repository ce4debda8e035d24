use super::*;

/// Names of this process alone.
fn id(letter: char) -> String {
    format!("mvt{letter}{}", std::process::id())
}

struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = down(&self.0);
    }
}

fn read(id: &str, file: &str) -> String {
    let path = Path::new("/sys/class/net").join(id).join(file);
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn flag(id: &str, file: &str) -> u32 {
    u32::from_str_radix(read(id, file).trim_start_matches("0x"), 16).unwrap()
}

fn can_make_taps() -> bool {
    let can = crate::user::is_root() && Path::new("/dev/net/tun").exists();
    if !can {
        println!("skipped: taps need root and /dev/net/tun");
    }
    can
}

#[test]
fn a_tap_is_made_remade_and_removed() {
    if !can_make_taps() {
        return;
    }
    let id = id('a');
    let _removed = Removed(id.clone());
    let tap = Tap {
        id: &id,
        owner: Some(1234),
        multi_queue: false,
    };
    tap.up().unwrap();
    tap.up().unwrap();
    assert_eq!(read(&id, "owner"), "1234");
    assert_eq!(flag(&id, "flags") & libc::IFF_UP as u32, 1);
    assert_eq!(flag(&id, "tun_flags") & libc::IFF_MULTI_QUEUE as u32, 0);
    Tap {
        multi_queue: true,
        ..tap
    }
    .up()
    .unwrap();
    assert_ne!(flag(&id, "tun_flags") & libc::IFF_MULTI_QUEUE as u32, 0);
    assert_ne!(flag(&id, "tun_flags") & libc::IFF_VNET_HDR as u32, 0);
    down(&id).unwrap();
    assert!(!is_tap(&id));
    down(&id).unwrap();
}

#[test]
fn a_macvtap_is_made_over_a_tap() {
    if !can_make_taps() {
        return;
    }
    let (below, id) = (id('b'), id('c'));
    let (_first, _second) = (Removed(below.clone()), Removed(id.clone()));
    Tap {
        id: &below,
        owner: None,
        multi_queue: false,
    }
    .up()
    .unwrap();
    let macvtap = Macvtap {
        id: &id,
        link: &below,
        mode: MacvtapMode::Bridge,
        mac: "02:00:00:00:0a:0b",
        owner: Some(1234),
    };
    match macvtap.up() {
        Err(error) if format!("{error:?}").contains("Unsupported") => {
            println!("skipped: this kernel has no macvtap");
        }
        Err(Error::NoDevice { .. }) => println!("skipped: no udev makes /dev/tapN here"),
        other => {
            other.unwrap();
            assert_eq!(read(&id, "address"), "02:00:00:00:0a:0b");
            macvtap.up().unwrap();
        }
    }
    let nowhere = Macvtap {
        link: "no-such-if",
        ..macvtap
    };
    assert_eq!(nowhere.up().unwrap_err().kind(), Kind::NotFound);
}
