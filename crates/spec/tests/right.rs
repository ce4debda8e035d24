//! Right definitions, and what they become.

use std::path::{Path, PathBuf};
use std::time::Instant;

use spec::Vm;
use spec::guest::GuestSource;
use spec::options;
use spec::read::{
    Fleet, HostDefaults, Problem, Problems, Source, check_toml, parse_json, parse_json_vm,
    parse_toml,
};
use spec::vm::{Arch, Kernel, RootShare, ShareProto, StoreKind};

const EVERY: &str = include_str!("fixtures/every.toml");

fn source() -> Source<'static> {
    Source {
        file: "microvm.toml",
        base_dir: Path::new("/base"),
        host: HostDefaults {
            arch: Arch::X86_64,
            mem_mib: Some(16384),
            cpus: Some(4),
        },
    }
}

fn toml(text: &str) -> Fleet {
    parse_toml(&source(), text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn web(text: &str) -> Vm {
    only(toml(text))
}

fn only(fleet: Fleet) -> Vm {
    let mut vms = fleet.vms.into_values();
    let vm = vms.next().expect("one VM");
    assert_eq!(vms.next(), None);
    vm
}

fn from_nix(text: &str) -> Result<Fleet, Problems> {
    parse_json_vm(&source(), "web", text)
}

#[test]
fn every_option() {
    insta::assert_json_snapshot!(toml(EVERY).vms);
}

#[test]
fn defaults() {
    insta::assert_json_snapshot!(web("[vm.web]\n"));
}

#[test]
fn toml_and_json_are_the_same() {
    let table: toml::Table = EVERY.parse().unwrap();
    let json = serde_json::to_string_pretty(&table).unwrap();
    let from_json = parse_json(&source(), &json).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(from_json.vms, toml(EVERY).vms);
}

#[test]
fn every_option_is_set() {
    let table: toml::Table = EVERY.parse().unwrap();
    let mut written = Vec::new();
    for vm in table["vm"].as_table().unwrap().values() {
        collect(vm, String::new(), &mut written);
    }
    let missing: Vec<&str> = options::all()
        .map(|opt| opt.name)
        .filter(|name| {
            !written
                .iter()
                .any(|path| options::find(path).is_some_and(|o| o.name == *name))
        })
        .collect();
    assert_eq!(missing, [] as [&str; 0]);
}

fn collect(value: &toml::Value, path: String, written: &mut Vec<String>) {
    let inner = |name: &str| match path.is_empty() {
        true => name.replace('.', "_"),
        false => format!("{path}.{}", name.replace('.', "_")),
    };
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                collect(value, inner(name), written);
            }
        }
        toml::Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, format!("{path}[{index}]"), written);
            }
        }
        _ => {}
    }
    written.push(path);
}

#[test]
fn vms_survive_json() {
    for vm in toml(EVERY).vms.into_values() {
        let text = serde_json::to_string(&vm).unwrap();
        assert_eq!(serde_json::from_str::<Vm>(&text).unwrap(), vm);
    }
}

#[test]
fn none_is_false_in_toml_and_null_in_json() {
    let vm =
        web("[vm.web]\nsocket = false\nvirtiofsd = { group = false, inodeFileHandles = false }\n");
    assert_eq!((vm.socket, vm.virtiofsd.group), (None, None));
    let json =
        r#"{ "socket": null, "virtiofsd": { "group": null }, "machineId": null, "cpu": null }"#;
    let vm = only(from_nix(json).unwrap());
    assert_eq!((vm.socket, vm.virtiofsd.group), (None, None));
    assert_eq!(vm.machine_id.as_hex().len(), 32);
}

#[test]
fn a_nixos_guest_is_given() {
    let json = r#"{ "microvm": {
        "kernel": "/nix/store/k/bzImage", "initrdPath": "/nix/store/i/initrd",
        "guest": { "enable": true }, "storeDisk": "/nix/store/d.erofs",
        "shares": [{ "tag": "ro-store", "source": "/nix/store", "mountPoint": "/nix/.ro-store",
                     "proto": "9p", "socket": null }],
        "volumes": [{ "image": "var.img", "mountPoint": "/", "size": 10, "label": null }],
        "interfaces": [{ "type": "user", "id": "a", "mac": "02:00:00:00:00:01", "bridge": null,
                         "tap": { "vhost": false } }]
    } }"#;
    let vm = only(from_nix(json).unwrap_or_else(|problems| panic!("{problems}")));
    assert_eq!(vm.boot.kernel, Kernel::Path("/nix/store/k/bzImage".into()));
    assert_eq!(vm.store.kind, StoreKind::Share(RootShare::NineP));
    let store_disk = Some(PathBuf::from("/nix/store/d.erofs"));
    assert_eq!(vm.guest.source, GuestSource::Given { store_disk });
    assert!(vm.guest.enable.is_empty());
}

#[test]
fn default_names_come_from_the_vm() {
    let vm = web(
        "[vm.web]\nstoreOnDisk = false\n[[vm.web.shares]]\ntag = 'src'\nsource = '/srv'\nmountPoint = '/src'\nproto = 'virtiofs'\n",
    );
    assert_eq!(vm.socket, Some("web.sock".into()));
    assert_eq!(vm.store.kind, StoreKind::Share(RootShare::Virtiofs));
    let ShareProto::Virtiofs { socket, .. } = &vm.shares[0].proto else {
        panic!("not virtiofs");
    };
    assert_eq!(socket, Path::new("web-virtiofs-src.sock"));
}

#[test]
fn options_have_places() {
    const PATHS: [&str; 5] = [
        "shares[0].proto",
        "shares[0].readOnly",
        "credentialFiles.a.b",
        "qemu.machine",
        "mem",
    ];
    let checked = check_toml(
        &source(),
        "[vm.web]\nmem = 5\n[[vm.web.shares]]\ntag = 'a'\nsource = '/a'\nmountPoint = '/a'\nproto = '9p'\n[vm.web.credentialFiles]\n\"a.b\" = '/a'\n",
        |_| PATHS.map(|path| Problem::about(path, "No")).into(),
    );
    let place = |path: &str| {
        let about = |problem: &&Problem| problem.option.as_deref() == Some(path);
        let problem = checked.problems.iter().find(about).unwrap();
        (problem.line, problem.column)
    };
    assert_eq!(PATHS.map(place), [(7, 9), (3, 1), (9, 9), (1, 1), (2, 7)]);
}

#[test]
fn a_wrong_vm_does_not_take_the_others_away() {
    let text = "[vm.b]\nmem = 'x'\n[vm.a]\n[vm.c]\nvcpu = 0\n[vm.d]\n";
    let checked = check_toml(&source(), text, |_| Vec::new());
    let sound: Vec<&str> = checked.sound.vms.keys().map(|name| &**name).collect();
    assert_eq!(sound, ["a", "d"]);
    assert_eq!(checked.declared, ["b", "a", "c", "d"]);
    assert_eq!(checked.problems.len(), 2);
    assert!(checked.all().is_err());
}

#[test]
fn json_problems_have_places() {
    let problems = parse_json(
        &source(),
        "{\n  \"vm\": { \"web\": {\n    \"mem\": \"x\" } }\n}",
    )
    .unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!((problem.line, problem.column), (3, 12));
    let problems = parse_json(&source(), "{ \"vm\": ").unwrap_err();
    assert_eq!(problems.len(), 1);
}

#[test]
fn problems_of_one_vm() {
    let problems =
        parse_toml(&source(), "[vm.a]\nmem = 0\n[vm.b]\nmem = 0\nvcpu = 0\n").unwrap_err();
    assert_eq!(problems.clone().of(Some("a")).len(), 1);
    assert_eq!(problems.clone().of(Some("b")).len(), 2);
    assert_eq!(problems.of(None).len(), 3);
}

#[test]
fn a_thousand_vms() {
    let text: String = (0..1000)
        .map(|n| {
            format!(
                "[vm.vm{n}]\nmem = 512\nvsock.cid = {}\n[[vm.vm{n}.volumes]]\nimage = 'var.img'\nmountPoint = '/var'\nsize = 100\n[[vm.vm{n}.interfaces]]\ntype = 'tap'\nid = 'vm-{n}'\nmac = '02:00:00:00:{:02x}:{:02x}'\n[vm.vm{n}.guest]\ndebian.packages = ['nginx']\nrootPassword = ''\n",
                n + 3,
                n / 256,
                n % 256
            )
        })
        .collect();
    let start = Instant::now();
    let fleet = toml(&text);
    println!("1,000 VMs in {:?}", start.elapsed());
    assert_eq!(fleet.vms.len(), 1000);
}

#[test]
fn the_projects_own_definitions_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = [
        "examples/microvm.toml",
        "crates/cli/templates/default.toml",
        "crates/cli/templates/minimal.toml",
    ];
    for file in files {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let read = parse_toml(&source(), &text);
        assert!(read.is_ok(), "{file}: {}", read.unwrap_err());
    }
}

/// Whatever stands in the place of a value is refused or taken, and never a panic.
#[test]
fn values_of_every_kind_everywhere() {
    let table: toml::Table = EVERY.parse().unwrap();
    let whole = serde_json::to_value(&table).unwrap();
    let mut places = Vec::new();
    pointers(&whole, String::new(), &mut places);
    let kinds = [
        serde_json::Value::Null,
        true.into(),
        false.into(),
        (-1).into(),
        1.into(),
        1.5.into(),
        "".into(),
        "/".into(),
        "\u{0}é\n".into(),
        serde_json::json!([]),
        serde_json::json!([null]),
        serde_json::json!({}),
        serde_json::json!({ "": null }),
    ];
    let mut taken = 0;
    for place in places {
        for kind in &kinds {
            let mut changed = whole.clone();
            *changed.pointer_mut(&place).unwrap() = kind.clone();
            taken += usize::from(parse_json(&source(), &changed.to_string()).is_ok());
        }
    }
    assert!(taken > 100);
}

fn pointers(value: &serde_json::Value, path: String, places: &mut Vec<String>) {
    let below = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    match value {
        serde_json::Value::Object(map) => {
            map.iter()
                .for_each(|(name, value)| pointers(value, below(name), places));
        }
        serde_json::Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| pointers(value, below(&index.to_string()), places));
        }
        _ => {}
    }
    places.push(path);
}

#[test]
fn texts_cut_short_are_refused() {
    for end in (0..EVERY.len()).step_by(7) {
        drop(parse_toml(&source(), &EVERY[..end]));
    }
}

/// Taking any option away changes the VM, or makes it wrong: none is read in vain.
#[test]
fn every_option_has_an_effect() {
    let table: toml::Table = EVERY.parse().unwrap();
    let whole = serde_json::to_value(&table).unwrap();
    let vms = toml(EVERY).vms;
    let mut places = Vec::new();
    pointers(&whole, String::new(), &mut places);
    let mut in_vain = Vec::new();
    for place in places {
        let option = place.splitn(4, '/').nth(3).unwrap_or_default();
        let option = option.replace("~1", "/").replace('/', ".");
        let known = options::find(&option).filter(|opt| opt.scope != options::Scope::Nix);
        let Some((parent, name)) = place.rsplit_once('/').filter(|_| known.is_some()) else {
            continue;
        };
        let mut changed = whole.clone();
        let Some(parent) = changed.pointer_mut(parent).unwrap().as_object_mut() else {
            continue;
        };
        parent.remove(name);
        match parse_json(&source(), &changed.to_string()) {
            Ok(fleet) if fleet.vms == vms => in_vain.push(place),
            _ => {}
        }
    }
    let without_effect = [
        // Written as they are by default, so that the others can be written.
        "/vm/web/storeOnDisk",
        "/vm/web/storeDiskType",
        "/vm/web/volumes/0/readOnly",
        "/vm/web/volumes/0/autoCreate",
        "/vm/web/forwardPorts/0/from",
        // Of what was not chosen: squashfs, a root share, crosvm itself.
        "/vm/web/storeDiskSquashfsFlags",
        "/vm/web/guest/rootShare",
        "/vm/web/crosvm/package",
    ];
    in_vain.retain(|place| !without_effect.contains(&place.as_str()));
    assert_eq!(in_vain, [] as [&str; 0]);
}

/// What the list above leaves out.
#[test]
fn options_of_other_choices_have_an_effect() {
    let pairs = [
        ("storeOnDisk = true", "storeOnDisk = false"),
        ("storeDiskType = 'erofs'", "storeDiskType = 'squashfs'"),
        (
            "storeDiskType = 'squashfs'",
            "storeDiskType = 'squashfs'\nstoreDiskSquashfsFlags = []",
        ),
        (
            "storeOnDisk = false",
            "storeOnDisk = false\nguest.rootShare = '9p'",
        ),
        ("", "crosvm.package = '/opt/crosvm'"),
    ];
    for (one, other) in pairs {
        let of = |text: &str| web(&format!("[vm.web]\n{text}\n"));
        assert_ne!(of(one), of(other), "{other}");
    }
}
