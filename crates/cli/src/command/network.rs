//! `microvm network`: the networks of this host's VMs.

use std::process::ExitCode;

use clap::Subcommand;
use host::network::{Dhcp, Network, Networks};
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::fleet::{StateDir, for_each};
use crate::networks;
use crate::verbs::say;

mod leases;

/// Show networks of VMs and who has which address; bring them up or down
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the networks
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        state: StateDir,
    },
    /// List who has which address
    Leases {
        /// Of this network alone
        name: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        state: StateDir,
    },
    /// Bring networks up as they were declared; what is up already is put right
    Up(Several),
    /// Take networks down until the host starts again, or `up`; guests keep their addresses
    Down(Several),
    /// Put the taps of a VM onto their networks, as its start does
    Attach {
        /// Name of the VM
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    /// What microvm-network@.service starts and stops
    #[command(hide = true)]
    SetUp {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    #[command(hide = true)]
    TakeDown {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
    /// What microvm-dnsmasq@.service starts
    #[command(hide = true)]
    Serve {
        name: String,
        #[command(flatten)]
        state: StateDir,
    },
}

/// Which networks.
#[derive(clap::Args)]
struct Several {
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    state: StateDir,
}

impl Several {
    /// Wrong names are told before anything is done.
    fn each(&self, act: impl Fn(&Networks, &str) -> Result<()>) -> Result<ExitCode> {
        let networks = networks::of(&self.state.open()?)?;
        for name in &self.names {
            networks.network(name)?;
        }
        for_each(&self.names, |name| act(&networks, name))
    }
}

impl Args {
    pub fn only_prints(&self) -> bool {
        matches!(self.command, Command::List { .. } | Command::Leases { .. })
    }

    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::List { json, state } => list(&networks::of(&state.open()?)?, json)?,
            Command::Leases { name, json, state } => {
                leases::print(&networks::of(&state.open()?)?, name.as_deref(), json)?;
            }
            Command::Up(several) => {
                let fleet = several.state.open()?;
                networks::refresh(&fleet)?;
                return several.each(|networks, name| {
                    networks.up(name)?;
                    say(format!("The network `{name}` is up"));
                    Ok(())
                });
            }
            Command::Down(several) => {
                return several.each(|networks, name| {
                    networks.down(name)?;
                    say(format!("The network `{name}` is down"));
                    Ok(())
                });
            }
            Command::Attach { name, state } => {
                networks::attach(&state.open()?, &host::fleet::name(&name)?)?;
            }
            Command::SetUp { name, state } => networks::of(&state.open()?)?.set_up(&name)?,
            Command::TakeDown { name, state } => networks::of(&state.open()?)?.take_down(&name)?,
            Command::Serve { name, state } => {
                let networks = networks::of(&state.open()?)?;
                return Err(networks.serve(&name).into());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(networks: &Networks, json: bool) -> Result<()> {
    let recorded = networks.recorded()?;
    if json {
        let rows: Result<Vec<Value>> = recorded.iter().map(|one| row(networks, one)).collect();
        println!("{:#}", Value::Array(rows?));
        return Ok(());
    }
    if recorded.is_empty() {
        eprintln!("There is no network");
        eprintln!(
            "hint: `[networks.NAME]` in `{}` declares one, and `microvm apply` makes it",
            crate::convergence::FILE
        );
        return Ok(());
    }
    println!("{:15}  STATE  NAT  TAPS  ADDRESSES", "NAME");
    for network in &recorded {
        let state = if networks.is_up(network) {
            "up"
        } else {
            "down"
        };
        let nat = if network.nat { "yes" } else { "no" };
        let taps = networks.ports(&network.name).len();
        let addresses = addresses(network).join(" ");
        println!(
            "{:15}  {state:5}  {nat:3}  {taps:4}  {addresses}",
            &*network.name
        );
    }
    Ok(())
}

fn addresses(network: &Network) -> Vec<String> {
    network.addresses.iter().map(ToString::to_string).collect()
}

fn row(networks: &Networks, network: &Network) -> Result<Value> {
    let dhcp = match &network.dhcp {
        Dhcp::Off => Value::Bool(false),
        Dhcp::On { range: None } => json!({ "range": null }),
        Dhcp::On { range: Some(range) } => json!({ "range": [range.first, range.last] }),
    };
    let given = networks.given(&network.name)?;
    let vms = given.iter().filter(|one| one.there).map(|one| &one.vm);
    let vms: std::collections::BTreeSet<_> = vms.collect();
    Ok(json!({
        "name": network.name,
        "up": networks.is_up(network),
        "addresses": network.addresses,
        "dhcp": dhcp,
        "nat": network.nat,
        "gateway": network.gateway,
        "routerAdvertisements": network.router_advertisements,
        "isolation": network.isolation,
        "taps": networks.ports(&network.name),
        "vms": vms,
    }))
}

/// One network, or an error that says what there is.
fn find(networks: &Networks, name: Option<&str>) -> Result<Vec<Network>> {
    match name {
        Some(name) => Ok(vec![networks.network(name)?]),
        None => match networks.recorded()? {
            all if all.is_empty() => {
                let error = Error::new(Kind::NotFound, "There is no network");
                Err(error.hint("`microvm apply` makes those that are declared"))
            }
            all => Ok(all),
        },
    }
}
