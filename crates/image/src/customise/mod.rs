//! Makes a root tree the guest that a definition describes.
//!
//! Every function takes the tree's root; the hook confines the process to the tree first (see
//! [`crate::hook`]), so that no link in it leads outside.

mod accounts;
mod clean;
mod console;
mod container;
mod defaults;
mod files;
mod network;
pub(crate) mod password;
pub(crate) mod run;
mod ssh;
mod table;
mod units;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::Vm;
use spec::guest::Network;

use crate::error::Error;
pub(crate) use container::Container;
pub(crate) use defaults::Debian;
pub(crate) use files::{PlacedFile, gather};
pub(crate) use network::lend_resolver;

/// Raised whenever the same definition is given another tree than before: store paths follow from
/// it.
const RECIPE: u32 = 2;

/// What is done to a tree; it names no file of the host, and every input that counts is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Customisation {
    /// The second field of shadow(5).
    root_password: String,
    root_keys: Vec<String>,
    users: BTreeMap<String, Account>,
    autologin: Option<String>,
    pub(crate) files: Vec<PlacedFile>,
    enable: Vec<String>,
    dhcp: bool,
    run: Vec<String>,
    /// Whether the machine has a screen.
    screen: bool,
    recipe: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Account {
    uid: Option<u32>,
    groups: Vec<String>,
    shell: Option<PathBuf>,
    password: String,
    keys: Vec<String>,
}

impl Customisation {
    /// What the definition asks for, without the files.
    pub(crate) fn new(vm: &Vm) -> Result<Self, Error> {
        let guest = &vm.guest;
        let account = |(name, user): (&String, &spec::guest::User)| {
            let account = Account {
                uid: user.uid,
                groups: user.groups.clone(),
                shell: user.shell.clone(),
                password: password::shadow_field(name, user.password.as_deref())?,
                keys: user.ssh_keys.clone(),
            };
            Ok((name.clone(), account))
        };
        Ok(Self {
            root_password: password::shadow_field("root", guest.root_password.as_deref())?,
            root_keys: guest.ssh_keys.clone(),
            users: guest
                .users
                .iter()
                .map(account)
                .collect::<Result<_, Error>>()?,
            autologin: guest.autologin.clone(),
            files: Vec::new(),
            enable: guest.enable.clone(),
            dhcp: guest.network == Network::Dhcp,
            run: guest.run.clone(),
            screen: vm.graphics.is_some(),
            recipe: RECIPE,
        })
    }

    /// Edits files of the tree. `contents` holds what [`PlacedFile`]s point at; `debian` is what
    /// a tree from packages gets beside.
    pub(crate) fn edit(
        &self,
        root: &Path,
        contents: &File,
        debian: Option<&Debian>,
    ) -> Result<(), Error> {
        if let Some(debian) = debian {
            debian.apply(root)?;
        }
        defaults::identity(root)?;
        let mut accounts = accounts::Accounts::load(root)?;
        if container::has_accounts(root) || self.root_password != password::LOCKED {
            accounts.set_password("root", &self.root_password)?;
        }
        for (name, account) in &self.users {
            accounts.ensure(root, name, account)?;
        }
        accounts.save(root)?;
        ssh::configure(root, self)?;
        self.write_keys(root, &accounts)?;
        if self.dhcp {
            network::dhcp(root)?;
        }
        if let Some(user) = &self.autologin {
            console::autologin(root, user, &accounts)?;
        }
        files::place(root, &self.files, contents, &accounts)
    }

    /// Runs the guest's own programs; the process is confined to the tree.
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut units: Vec<&str> = Vec::new();
        if self.dhcp {
            units.extend(network::UNITS);
        }
        let root = Path::new("/");
        units.retain(|unit| units::exists(root, unit));
        if ssh::is_configured(root) {
            units.push(ssh::KEY_UNIT);
        }
        run::systemctl_enable(&units)?;
        for command in &self.run {
            run::command(command, out)?;
        }
        let own: Vec<&str> = self.enable.iter().map(String::as_str).collect();
        run::systemctl_enable(&own)
    }

    /// Leaves nothing in the tree that differs from build to build or belongs to one machine.
    pub(crate) fn finish(&self, root: &Path, debian: bool) -> Result<(), Error> {
        if self.dhcp {
            network::do_not_wait(root)?;
        }
        if debian {
            clean::packages(root)?;
            network::forget_resolver(root, &self.files)?;
            units::disable_slow(root, &self.enable, self.screen)?;
        }
        clean::machine(root)
    }

    fn write_keys(&self, root: &Path, accounts: &accounts::Accounts) -> Result<(), Error> {
        ssh::authorized_keys(root, accounts, "root", &self.root_keys)?;
        for (name, account) in &self.users {
            ssh::authorized_keys(root, accounts, name, &account.keys)?;
        }
        Ok(())
    }

    /// Whether interfaces get addresses by DHCP.
    pub(crate) fn uses_dhcp(&self) -> bool {
        self.dhcp
    }

    /// Whether anybody logs in with an empty password.
    fn allows_empty_passwords(&self) -> bool {
        self.root_password.is_empty() || self.users.values().any(|user| user.password.is_empty())
    }
}
