//! The VMs in the VM: one for each hypervisor, the same guest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use host::probe::Host;
use spec::vm::Hypervisor;
use toml::{Table, Value};

use crate::command::listed;
use crate::definition::{self, Definition};
use crate::error::{Error, Kind, OrKind, Result};
use crate::package::{self, Package};
use crate::places::Places;

const TEMPLATE: &str = include_str!("../../../../examples/nested.toml");

/// Those that run on Linux; the place of each is its number in addresses.
fn hypervisors() -> impl Iterator<Item = Hypervisor> {
    let all = Hypervisor::ALL.into_iter();
    all.filter(|hypervisor| *hypervisor != Hypervisor::Vfkit)
}

/// One VM, before it is built.
struct Guest {
    hypervisor: Hypervisor,
    number: usize,
    /// The hypervisor's program, where it has to be brought along.
    program: Option<PathBuf>,
}

pub struct Guests {
    found: Vec<Guest>,
    left_out: Vec<(Hypervisor, &'static str)>,
}

/// One VM, built.
pub struct Built {
    guest: Guest,
    pub package: Package,
}

impl Guests {
    /// All that are found, or those that are wanted, which must be.
    pub fn find(wanted: &[String], places: &Places) -> Result<Self> {
        let known: Vec<&str> = hypervisors().map(|one| one.as_str()).collect();
        if let Some(name) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::new(
                Kind::Usage,
                format!(
                    "`{name}` is no hypervisor that runs on Linux; there are {}",
                    listed(&known)
                ),
            ));
        }
        let host = Host::here(places.cache.clone());
        let (mut found, mut left_out) = (Vec::new(), Vec::new());
        for (number, hypervisor) in hypervisors().enumerate() {
            let is_wanted = wanted.iter().any(|name| name == hypervisor.as_str());
            if !wanted.is_empty() && !is_wanted {
                continue;
            }
            let name = host::probe::program_name(hypervisor, definition::own_arch());
            let program = match hypervisor {
                // Debian's, and the one in this program.
                Hypervisor::Qemu | Hypervisor::Alioth => Some(None),
                _ => host::program::find_in(name, &host.programs).map(Some),
            };
            match program {
                Some(program) => found.push(Guest {
                    hypervisor,
                    number: number + 1,
                    program,
                }),
                None if is_wanted => {
                    let missing = host::program::NotInstalled {
                        program: name.to_owned(),
                    };
                    return Err(Error::new(Kind::Missing, missing));
                }
                None => left_out.push((hypervisor, name)),
            }
        }
        Ok(Self { found, left_out })
    }

    /// A line for each hypervisor that is not here.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|(hypervisor, program)| {
            format!(
                "without {hypervisor}: `{program}` is neither on PATH nor in MICROVM_HYPERVISORS"
            )
        })
    }

    /// Builds each; they share their image.
    pub fn build(self, places: &Places, update: bool) -> Result<Vec<Built>> {
        let definition = Definition::generated(
            "examples/nested.toml",
            places.cache.join("locks/nested.lock"),
            self.text()?,
        );
        let one = |guest: Guest| {
            let vm = definition.vm(Some(guest.hypervisor.as_str()))?;
            let package = package::build(&vm, &definition, places, update)?;
            Ok(Built { guest, package })
        };
        self.found.into_iter().map(one).collect()
    }

    fn text(&self) -> Result<String> {
        let mut vms = Table::new();
        for guest in &self.found {
            let name = guest.hypervisor.as_str();
            let text = TEMPLATE
                .replace("@hypervisor@", name)
                .replace("@tap@", &guest.tap())
                .replace("@mac@", &guest.mac());
            let mut vm: Table = toml::from_str(&text).or_kind(Kind::Other)?;
            if let Some(Value::Table(guest)) = vm.get_mut("guest") {
                super::outer::take_suite(guest);
            }
            if guest.hypervisor == Hypervisor::Crosvm {
                // The unit's sandbox, which is around it, lets it make no namespaces of its own.
                let args =
                    Table::from_iter([("extraArgs".to_owned(), vec!["--disable-sandbox"].into())]);
                vm.insert("crosvm".to_owned(), args.into());
            }
            vms.insert(name.to_owned(), vm.into());
        }
        let file = Table::from_iter([("vm".to_owned(), vms.into())]);
        toml::to_string(&file).or_kind(Kind::Other)
    }
}

impl Guest {
    /// Names of interfaces have 15 characters at most.
    fn tap(&self) -> String {
        let name = self.hypervisor.as_str();
        format!("vm-{}", &name[..name.len().min(12)])
    }

    fn mac(&self) -> String {
        format!("02:00:00:01:04:{:02x}", self.number)
    }
}

impl Built {
    pub fn name(&self) -> &'static str {
        self.guest.hypervisor.as_str()
    }

    pub fn address(&self) -> String {
        format!("10.0.0.{}", 10 + self.guest.number)
    }

    pub fn program(&self) -> Option<&Path> {
        self.guest.program.as_deref()
    }

    /// What `host.toml` has of it.
    pub fn declare(&self, text: &mut String) {
        let (name, package) = (self.name(), self.package.path.display().to_string());
        let (mac, address) = (self.guest.mac(), self.address());
        let _ = write!(
            text,
            "\n[vms.{name}]\nflake = {package}\nautostart = true\n\n[[networks.virbr0.leases]]\n\
             mac = \"{mac}\"\naddress = \"{address}\"\nname = \"{name}\"\n",
            package = Value::String(package)
        );
    }
}
