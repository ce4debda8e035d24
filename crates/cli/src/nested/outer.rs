//! The definition of the VM that is a host.

use std::path::Path;

use toml::{Table, Value};

use super::NAME;
use super::guests::Built;
use super::processor::Processor;
use crate::definition::Definition;
use crate::error::{Error, Kind, OrKind, Result};
use crate::places::Places;

const TEMPLATE: &str = include_str!("../../../../examples/vm.toml");

/// Where `ssh -p` finds it.
pub const SSH_PORT: u16 = 2222;

/// Where programs of hypervisors are in it, on the PATH of its units.
const PROGRAMS: &str = "/usr/local/bin";

/// This program there.
const MICROVM: &str = "/usr/local/bin/microvm";

/// What of it can be chosen.
pub struct Shape {
    pub vcpu: Option<u32>,
    pub mem: Option<u64>,
    pub port: u16,
}

/// The example, with its VMs and what they need.
pub fn definition(
    guests: &[Built],
    processor: &Processor,
    shape: &Shape,
    places: &Places,
) -> Result<Definition> {
    let microvm = std::env::current_exe().or_kind(Kind::Other)?;
    let store = std::fs::canonicalize(&places.store).or_kind(Kind::Storage)?;
    let mut file: Table = toml::from_str(TEMPLATE).or_kind(Kind::Other)?;
    let vm = table(&mut file, &["vm", NAME])?;
    size(vm, processor, shape);
    vm.insert("shares".to_owned(), Value::Array(vec![share(&store)?]));
    let guest = table(vm, &["guest"])?;
    take_suite(guest);
    let files = table(guest, &["files"])?;
    fill(files, guests, &microvm, &store);
    for program in guests.iter().filter_map(Built::program) {
        let name = program.file_name().unwrap_or_default();
        add_program(files, &Path::new(PROGRAMS).join(name), program)?;
    }
    add_program(files, Path::new(MICROVM), &microvm)?;
    add_text(files, "/etc/microvm/host.toml", &declared(guests));
    let modules = format!(
        "kvm\n{}\ntun\nbridge\nvhost_net\nvhost_vsock\n",
        processor.module()
    );
    add_text(files, "/etc/modules-load.d/nested.conf", &modules);
    let text = toml::to_string(&file).or_kind(Kind::Other)?;
    Ok(Definition::generated(
        "examples/vm.toml",
        places.cache.join("locks/vm.lock"),
        text,
    ))
}

/// Its C library must not be older than that of the host, where programs of the host run in it.
pub fn take_suite(guest: &mut Table) {
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if let (Some(suite), Some(Value::Table(debian))) = (debian_suite(&os), guest.get_mut("debian"))
    {
        debian.insert("suite".to_owned(), suite.into());
    }
}

/// The release that `/etc/os-release` names, where it is Debian's.
fn debian_suite(os: &str) -> Option<&str> {
    let value = |key: &str| {
        os.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let is_debian = value("ID")?.trim_matches('"') == "debian";
    let suite = value("VERSION_CODENAME")?.trim_matches('"');
    is_debian.then_some(suite)
}

fn size(vm: &mut Table, processor: &Processor, shape: &Shape) {
    let own = host::probe::memory_mib(Path::new("/proc")).unwrap_or(u64::MAX);
    let vcpu = shape
        .vcpu
        .map_or_else(|| processor.default_vcpu(), u64::from);
    let mem = shape.mem.unwrap_or((own / 2).clamp(2048, 8192));
    let number = |it: u64| Value::Integer(i64::try_from(it).unwrap_or(i64::MAX));
    vm.insert("vcpu".to_owned(), number(vcpu));
    vm.insert("mem".to_owned(), number(mem));
    let params = processor.kernel_params().iter().copied();
    let params = params.map(Value::from).collect();
    vm.insert("kernelParams".to_owned(), Value::Array(params));
    if let Some(cpu) = processor.cpu() {
        vm.insert("cpu".to_owned(), cpu.into());
    }
    let from = Table::from_iter([
        ("address".to_owned(), "127.0.0.1".into()),
        ("port".to_owned(), number(shape.port.into())),
    ]);
    let to = Table::from_iter([("port".to_owned(), Value::Integer(22))]);
    let forward = Table::from_iter([
        ("host".to_owned(), from.into()),
        ("guest".to_owned(), to.into()),
    ]);
    vm.insert(
        "forwardPorts".to_owned(),
        Value::Array(vec![forward.into()]),
    );
}

/// The runner packages name their store, so that it is at the same place there.
fn share(store: &Path) -> Result<Value> {
    let path = text(store)?;
    Ok(Value::Table(Table::from_iter([
        ("tag".to_owned(), "store".into()),
        ("proto".to_owned(), "virtiofs".into()),
        ("readOnly".to_owned(), true.into()),
        ("source".to_owned(), path.into()),
        ("mountPoint".to_owned(), path.into()),
    ])))
}

fn declared(guests: &[Built]) -> String {
    let mut text = "\
# The VMs of this host, and their network. After a change: `microvm plan`, `microvm apply`.

[networks.virbr0]
addresses = [\"10.0.0.1/24\", \"fd12:3456:789a::1/64\"]
"
    .to_owned();
    for guest in guests {
        guest.declare(&mut text);
    }
    text
}

/// Puts names and paths into the texts of the example.
fn fill(files: &mut Table, guests: &[Built], microvm: &Path, store: &Path) {
    let names: Vec<&str> = guests.iter().map(Built::name).collect();
    let names = names.join(" ");
    let prepare = prepare(microvm, store);
    for (_, file) in files.iter_mut() {
        if let Some(Value::String(text)) = file.get_mut("text") {
            *text = text
                .replace("@names@", &names)
                .replace("@prepare@", &prepare);
        }
    }
}

/// Lines of a unit. The runner packages name the program as it is here; and the hypervisors' user
/// has to reach what they name.
fn prepare(microvm: &Path, store: &Path) -> String {
    let word = |path: &Path| format!("\"{}\"", host::service::sandbox::escaped(path));
    let mut lines = String::new();
    if microvm != Path::new(MICROVM) {
        let directory = microvm.parent().unwrap_or(microvm);
        lines += &format!("ExecStart=mkdir -p {}\n", word(directory));
        lines += &format!("ExecStart=ln -sfn {MICROVM} {}\n", word(microvm));
    }
    let above = [microvm, store]
        .into_iter()
        .flat_map(|path| path.ancestors().skip(1));
    for directory in above.filter(|directory| directory.parent().is_some()) {
        lines += &format!("ExecStart=chmod o+x {}\n", word(directory));
    }
    lines
}

fn add_program(files: &mut Table, at: &Path, source: &Path) -> Result<()> {
    let file = [("source", text(source)?), ("mode", "0755")];
    files.insert(text(at)?.to_owned(), entry(file));
    Ok(())
}

fn add_text(files: &mut Table, at: &str, text: &str) {
    files.insert(at.to_owned(), entry([("text", text)]));
}

fn entry<const N: usize>(pairs: [(&str, &str); N]) -> Value {
    let pairs = pairs.map(|(key, value)| (key.to_owned(), Value::from(value)));
    Value::Table(Table::from_iter(pairs))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let message = format!(
            "`{}` is not UTF-8, which a definition has to be",
            path.display()
        );
        Error::new(Kind::Definition, message)
    })
}

fn table<'a>(from: &'a mut Table, keys: &[&str]) -> Result<&'a mut Table> {
    let mut table = from;
    for key in keys {
        let Some(Value::Table(inner)) = table.get_mut(*key) else {
            let message = format!("examples/vm.toml has no table `{key}`");
            return Err(Error::new(Kind::Other, message));
        };
        table = inner;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_where_the_packages_have_it() {
        let store = Path::new("/var/lib/microvm/store");
        let there = prepare(Path::new("/home/a b/microvm"), store);
        assert_eq!(
            there.lines().take(2).collect::<Vec<_>>(),
            [
                "ExecStart=mkdir -p \"/home/a b\"",
                "ExecStart=ln -sfn /usr/local/bin/microvm \"/home/a b/microvm\""
            ]
        );
        assert!(
            there.contains("chmod o+x \"/var/lib/microvm\"\n"),
            "{there}"
        );
        assert!(!prepare(Path::new(MICROVM), store).contains("ln "));
    }

    #[test]
    fn the_suite_is_the_hosts_where_that_is_debian() {
        let debian = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(debian_suite(debian), Some("bookworm"));
        assert_eq!(debian_suite("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(debian_suite("ID=arch\n"), None);
    }
}
