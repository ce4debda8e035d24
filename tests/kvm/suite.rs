//! What the tests share: the KVM host, the guests' packages, who runs at the moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use harness::kvm_host::Shared;
use harness::nested::{By, Place};
use harness::{Fleet, KvmHost, Nested, Outcome, fleet, host};

use crate::definition::{self, Guest};
use crate::hypervisors::Hypervisor;

const HOST: &str = include_str!("host.toml");

/// How often a guest is started that does not answer.
const ATTEMPTS: u32 = 3;

/// State directories of guests are below it, in the KVM host.
const STATES: &str = "/var/lib/guests";

pub struct Suite {
    microvm: PathBuf,
    programs: Vec<PathBuf>,
    host: OnceLock<Result<KvmHost, String>>,
    fleets: Mutex<BTreeMap<String, Arc<Fleet>>>,
    running: [Mutex<()>; Guest::ALL.len()],
    marker: Mutex<Option<(String, String)>>,
}

impl Suite {
    pub fn new(hypervisors: &[Hypervisor]) -> Self {
        let microvm = host::microvm();
        let microvm = microvm.canonicalize().unwrap_or(microvm);
        let present = hypervisors
            .iter()
            .filter(|hypervisor| hypervisor.absent().is_none());
        Self {
            programs: present.filter_map(|one| one.program.clone()).collect(),
            microvm,
            host: OnceLock::new(),
            fleets: Mutex::default(),
            running: Default::default(),
            marker: Mutex::default(),
        }
    }

    /// Started by the first that asks.
    pub fn host(&self) -> Outcome<&KvmHost> {
        let started = self
            .host
            .get_or_init(|| self.start().map_err(|failure| failure.to_string()));
        Ok(started.as_ref().map_err(Clone::clone)?)
    }

    /// What the KVM host printed last, where it is not there any more.
    pub fn lost_host(&self) -> Option<String> {
        match self.host.get()? {
            Ok(host) => host.is_lost().then(|| host.tail()),
            Err(failure) => Some(failure.clone()),
        }
    }

    fn start(&self) -> Outcome<KvmHost> {
        let programs = self.copy_programs()?;
        let store = fleet::kept_directory().join("store");
        std::fs::create_dir_all(&store)?;
        let own = self.microvm.parent().ok_or("the program has a directory")?;
        let flake = flake_directory();
        std::fs::create_dir_all(&flake)?;
        let shares = [
            ("microvm", own),
            ("programs", &programs),
            ("store", &store),
            ("flake", &flake),
        ];
        KvmHost::start(HOST, &shares.map(|(tag, path)| Shared { tag, path }))
    }

    /// Those on PATH cannot be shared where they are: the KVM host has a `/usr/bin` of its own,
    /// with a QEMU in it.
    fn copy_programs(&self) -> Outcome<PathBuf> {
        let directory = programs_directory();
        std::fs::create_dir_all(&directory)?;
        for entry in std::fs::read_dir(&directory)? {
            std::fs::remove_file(entry?.path())?;
        }
        let foreign = |program: &&PathBuf| {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with("qemu-system") && **program != self.microvm
        };
        for program in self.programs.iter().filter(foreign) {
            let name = program.file_name().ok_or("a program has a name")?;
            std::fs::copy(program, directory.join(name))?;
        }
        Ok(directory)
    }

    /// Waits until nobody else runs this guest.
    pub fn turn(&self, guest: Guest) -> MutexGuard<'_, ()> {
        self.running[guest as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a guest of a hypervisor runs under this name.
    pub fn place(&self, hypervisor: &Hypervisor, guest: Guest, name: &str) -> Outcome<Place> {
        let unit = format!("{}-{name}", hypervisor.name);
        Ok(Place {
            package: self.package(hypervisor, guest)?,
            state: format!("{STATES}/{unit}"),
            address: guest.address(),
            unit,
            environment: vec![format!(
                "MICROVM_HYPERVISORS={}",
                programs_directory().display()
            )],
            properties: Vec::new(),
        })
    }

    /// Starts a guest and waits until SSH answers. The emulated SVM now and then has a guest jump
    /// into nowhere in its first second (seen with QEMU: the same wild address for minutes, its
    /// APIC not yet enabled) or reset, so that one which stays silent or ends is started again.
    pub fn boot(&self, place: &Place, by: By) -> Outcome<(Nested<'_>, Duration)> {
        for attempt in 1.. {
            let mut guest = self.start_guest(place, by)?;
            match guest.wait_for_ssh() {
                Ok(took) => return Ok((guest, took)),
                Err(failure) if attempt == ATTEMPTS => return Err(failure),
                Err(failure) => println!("attempt {attempt} of {ATTEMPTS}: {failure}"),
            }
            if guest.is_running()? {
                guest.kill_all()?;
            }
        }
        unreachable!("the last attempt returns")
    }

    pub fn start_guest(&self, place: &Place, by: By) -> Outcome<Nested<'_>> {
        Nested::start(self.host()?, place, by, &self.microvm)
    }

    /// Built here, by one at a time.
    fn package(&self, hypervisor: &Hypervisor, guest: Guest) -> Outcome<PathBuf> {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        let fleet = match fleets.get(&hypervisor.name) {
            Some(fleet) => Arc::clone(fleet),
            None => Arc::new(Fleet::new(&definition::text(hypervisor))?),
        };
        fleets.insert(hypervisor.name.clone(), Arc::clone(&fleet));
        Ok(fleet.build(guest.name())?.canonicalize()?)
    }

    /// Waits until nobody else runs a guest.
    pub fn alone(&self) -> [MutexGuard<'_, ()>; Guest::ALL.len()] {
        Guest::ALL.map(|guest| self.turn(guest))
    }

    /// Those of one test's own definitions, for the KVM host's own commands.
    pub fn packages(&self, test: &str, text: &str, names: &[&str]) -> Outcome<Vec<String>> {
        let fleet = Fleet::new(text)?;
        let path = |name: &&str| Ok(fleet.build(name)?.canonicalize()?.display().to_string());
        let packages = names.iter().map(path).collect::<Outcome<Vec<_>>>()?;
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.insert(test.to_owned(), Arc::new(fleet));
        Ok(packages)
    }

    /// The program under test, as the KVM host has it.
    pub fn microvm(&self) -> std::path::Display<'_> {
        self.microvm.display()
    }

    /// Fails where an earlier hypervisor's guest had another marker.
    pub fn same_marker(&self, hypervisor: &Hypervisor, marker: String) -> Outcome {
        let mut first = self.marker.lock().unwrap_or_else(PoisonError::into_inner);
        let (other, expected) = first.get_or_insert((hypervisor.name.clone(), marker.clone()));
        harness::check!(
            *expected == marker,
            "the guest of {other} is\n{expected}\nthe guest of {} is\n{marker}",
            hypervisor.name
        );
        Ok(())
    }
}

fn programs_directory() -> PathBuf {
    fleet::kept_directory().join("hypervisors")
}

/// Makes a state directory and runs a command line in it, and makes the guest's interface.
pub fn prepare(host: &KvmHost, place: &Place, line: &str) -> Outcome {
    let (state, package) = (&place.state, place.package.display());
    host.run(&format!(
        "mkdir -p {state} && cd {state} && {package}/bin/tap-up && {line}"
    ))?;
    Ok(())
}

pub fn no_socket_is_left(host: &KvmHost, place: &Place) -> Outcome {
    let left = host.run(&format!("find {} -type s", place.state))?;
    harness::check!(left.is_empty(), "sockets were left behind: {left}");
    Ok(())
}

/// Flakes that the KVM host sees.
pub fn flake_directory() -> PathBuf {
    fleet::kept_directory().join("flake")
}
