//! Which VMs are on a network, and their taps on its bridge.

use std::collections::BTreeMap;

use spec::names::{InterfaceId, VmName};

use super::server::Server;
use super::{Attached, Error, Interface, Network, Networks, Nic, Taps, addresses, definition};

impl Networks {
    /// Gives each VM's interfaces their addresses and names; these are all that there are.
    pub fn refresh(&self, all: &[Interface]) -> Result<(), Error> {
        self.settle_addresses(all, |_| true)
    }

    /// The same for one VM, whose taps that are there come onto their bridges: tap and network of
    /// each. Networks that are down are brought up where nothing else does that.
    pub fn attach(
        &self,
        vm: &VmName,
        own: &[Interface],
        taps: &[InterfaceId],
    ) -> Result<Vec<(InterfaceId, InterfaceId, Attached)>, Error> {
        let networks = self.recorded()?;
        if networks.is_empty() {
            return Ok(Vec::new());
        }
        self.settle_addresses(own, |name| name == vm)?;
        let mut done = Vec::new();
        for id in taps {
            let found = definition::for_tap(&networks, Some(vm), id);
            let Some(network) = found.filter(|_| self.interfaces().exists(id)) else {
                continue;
            };
            if !self.interfaces().is_ours(&network.name) {
                match self.server()? {
                    Server::Own(_) => self.up(&network.name)?,
                    Server::Systemd(_) => {
                        let name = network.name.to_string();
                        return Err(Error::Down { name });
                    }
                }
            }
            let attached = self.interfaces().attach(id, network)?;
            done.push((id.clone(), network.name.clone(), attached));
        }
        Ok(done)
    }

    fn settle_addresses(
        &self,
        interfaces: &[Interface],
        concerns: impl Fn(&VmName) -> bool,
    ) -> Result<(), Error> {
        let networks = self.recorded()?;
        if networks.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        for network in &networks {
            let nics: Vec<Nic> = interfaces
                .iter()
                .filter(|one| is_for(one, network, &networks))
                .map(|one| one.nic.clone())
                .collect();
            let before = self.given(&network.name)?;
            let mut given = before.clone();
            addresses::settle(network, &mut given, &nics, &concerns).map_err(|_| Error::Full {
                name: network.name.to_string(),
            })?;
            if given != before {
                self.remember(&network.name, &given)?;
            }
            // Before its taps are there: who manages interfaces would be faster.
            if self.interfaces().is_ours(&network.name) {
                self.beside().tell(network, &given)?;
            }
        }
        self.write_known()
    }

    /// Taps that are there already: of VMs that run, or made by hand under a name that is taken.
    pub(super) fn attach_all(&self, network: &Network) -> Result<(), Error> {
        let networks = self.recorded()?;
        let mut vms = BTreeMap::new();
        for other in &networks {
            let given = self.given(&other.name)?;
            vms.extend(given.into_iter().map(|one| (one.id.to_string(), one.vm)));
        }
        for tap in self.interfaces().taps() {
            let vm = vms.get(&tap);
            let is_asked = vm.is_some() || network.taps != Taps::OfAllVms;
            let found = definition::for_tap(&networks, vm.map(|name| &**name), &tap);
            if is_asked && found.is_some_and(|found| found.name == network.name) {
                self.interfaces().attach(&tap, network)?;
            }
        }
        Ok(())
    }
}

fn is_for(interface: &Interface, network: &Network, networks: &[Network]) -> bool {
    let nic = &interface.nic;
    match &interface.bridge {
        Some(bridge) => *bridge == network.name,
        None => definition::for_tap(networks, Some(&nic.vm), &nic.id)
            .is_some_and(|found| found.name == network.name),
    }
}
