//! Starts of all VMs at once: by `apply`, and by the start of their host.

use std::time::{Duration, Instant};

use harness::{KvmHost, Outcome, check};

use super::{STATE, Vm, inside, leases};
use crate::services;
use crate::suite::Suite;
use crate::tiny;

/// Longest that a guest may stay silent.
const SILENCE: Duration = Duration::from_secs(200);

/// How often a guest is started that the emulated SVM loses.
const ATTEMPTS: u32 = 3;

/// What systemd says of a VM's unit.
#[derive(Debug)]
struct State {
    active: String,
    /// Its start, or another's that it waits for, is still to come.
    has_job: bool,
}

impl State {
    fn may_come(&self) -> bool {
        self.has_job || ["active", "activating"].contains(&&*self.active)
    }
}

/// The VMs in their host.
pub struct All<'a> {
    pub suite: &'a Suite,
    pub host: &'a KvmHost,
    pub vms: &'a [Vm],
}

impl<'a> All<'a> {
    pub fn new(suite: &'a Suite, host: &'a KvmHost, vms: &'a [Vm]) -> Self {
        Self { suite, host, vms }
    }

    /// And once more, which changes nothing.
    pub fn start_by_apply(&self) -> Outcome {
        let microvm = self.suite.microvm();
        let start = Instant::now();
        self.host.run(&format!("{microvm} apply"))?;
        println!("apply: {} s", start.elapsed().as_secs());
        self.answer(start)?;
        let again = self.host.run(&format!("{microvm} apply"))?;
        check!(again.contains("nothing to do"), "applied twice: {again}");
        Ok(())
    }

    /// One of them by itself.
    pub fn start(&self, vm: &Vm) -> Outcome {
        let line = format!("{} start {}", self.suite.microvm(), vm.name);
        self.host.run(&line)?;
        self.answers(vm)?;
        Ok(())
    }

    /// The host is started again while all run: each guest shuts itself down, and is there again
    /// with its address, without a hand of anybody.
    pub fn come_back_with_their_host(&self, before: &[(String, String)]) -> Outcome {
        let start = Instant::now();
        self.host.reboot()?;
        println!("the host is back after {} s", start.elapsed().as_secs());
        // The tests' own, which nothing starts with the host.
        services::outside(self.host)?;
        let lost = self.answer(start)?;
        let after = leases(self.suite, self.host)?;
        check!(before == after, "leases were {before:?}, and are {after:?}");
        for (name, address) in before {
            let named = self.host.run(&format!("getent ahostsv4 {name}.microvm"))?;
            check!(
                named.starts_with(address.as_str()),
                "{name} is {address}, and not {named}"
            );
        }
        for vm in self
            .vms
            .iter()
            .filter(|vm| !lost.contains(&vm.name.as_str()))
        {
            let own = inside(self.host, vm, "cat /keep/journal")?;
            let own_lines: Vec<&str> = own.lines().collect();
            check!(
                own_lines.ends_with(&["booted", "stopped", "booted"]),
                "the journal of {} over the host's start: {own}",
                vm.name
            );
        }
        Ok(())
    }

    /// Waits until each answers by its name; gives those that were lost on the way.
    fn answer(&self, start: Instant) -> Outcome<Vec<&str>> {
        let mut took = Vec::new();
        let mut lost = Vec::new();
        for vm in self.vms {
            if !self.answers(vm)? {
                lost.push(vm.name.as_str());
            }
            took.push(start.elapsed().as_secs());
        }
        println!("seconds until each answered by its name: {took:?}; lost: {lost:?}");
        Ok(lost)
    }

    /// Waits until one answers by its name. `false`: the emulation lost its first guest, which says
    /// nothing of how that would have ended, and another was started.
    fn answers(&self, vm: &Vm) -> Outcome<bool> {
        let mut attempt = 1;
        let mut since = Instant::now();
        while !self.is_there(vm) {
            let state = self.state(vm)?;
            if state.may_come() && since.elapsed() < SILENCE {
                std::thread::sleep(Duration::from_millis(500));
                continue;
            }
            let unit = format!("microvm@{}", vm.name);
            let log = self.log(vm)?;
            let what = format!("{} is {state:?} and does not answer:\n{log}", vm.name);
            check!(attempt < ATTEMPTS, "{what}");
            attempt += 1;
            println!("attempt {attempt}: {what}");
            since = Instant::now();
            self.host.run(&format!(
                "systemctl kill --signal=KILL {unit}; systemctl reset-failed {unit}; sleep 3; \
                 {} start {}",
                self.suite.microvm(),
                vm.name
            ))?;
        }
        Ok(attempt == 1)
    }

    /// The end of what a VM and its unit said; not what an old systemd says of keys it lacks.
    pub fn log(&self, vm: &Vm) -> Outcome<String> {
        self.host.run(&format!(
            "journalctl --no-pager --all -o short-monotonic -n 200 -u microvm@{} | \
             grep -v 'Unknown key' | tail -n 30",
            vm.name
        ))
    }

    fn state(&self, vm: &Vm) -> Outcome<State> {
        let line = format!(
            "systemctl show --property=ActiveState,Job microvm@{}",
            vm.name
        );
        let shown = self.host.run(&line)?;
        let value = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name));
        Ok(State {
            active: value("ActiveState=").unwrap_or_default().to_owned(),
            has_job: value("Job=").is_some_and(|job| !job.is_empty()),
        })
    }

    fn is_there(&self, vm: &Vm) -> bool {
        let line = format!(
            "echo hostname | timeout 10 socat -t 10 - TCP:{}.microvm:{}",
            vm.name,
            tiny::PORT
        );
        self.host.run(&line).is_ok_and(|said| said == vm.name)
    }

    /// What is on the volume of a VM that does not run.
    pub fn journal(&self, vm: &Vm) -> Outcome<String> {
        let image = format!("{STATE}/{}/keep.img", vm.name);
        self.host.run(&format!(
            "e2fsck -fn {image} >&2 && debugfs -R 'cat /journal' {image}"
        ))
    }
}
