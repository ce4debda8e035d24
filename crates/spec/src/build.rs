//! Makes the typed VM of a definition in which nothing was found wrong.

mod disks;
mod guest;
mod hypervisors;
mod machine;
mod network;
mod words;

use crate::problem::Problem;
use crate::read::Definition;
use crate::vm::Vm;

/// A problem here is one that the checks have missed.
pub type Built<T> = Result<T, Box<Problem>>;

/// The typed VM.
pub fn vm(definition: &Definition<'_>) -> Built<Vm> {
    let written = definition.vm;
    Ok(Vm {
        name: named(definition.name, "")?,
        hypervisor: words::word(written, "hypervisor")?,
        arch: machine::arch(definition)?,
        vcpu: machine::vcpu(written)?,
        cpu: written.string("cpu"),
        memory: machine::memory(written)?,
        boot: machine::boot(definition),
        store: disks::store(definition),
        volumes: each(written.items("volumes").map(disks::volume))?,
        shares: each(
            written
                .items("shares")
                .map(|share| disks::share(definition, share)),
        )?,
        interfaces: each(written.items("interfaces").map(network::interface))?,
        forward_ports: each(written.items("forwardPorts").map(network::forward_port))?,
        devices: each(written.items("devices").map(machine::device))?,
        vsock: machine::vsock(written)?,
        socket: definition.socket().map(Into::into),
        user: written.string("user"),
        pre_start: written.string("preStart").unwrap_or_default(),
        extra_args_script: written.path("extraArgsScript"),
        pretty_procnames: written.bool("prettyProcnames"),
        machine_id: machine::machine_id(definition),
        register_with_machined: written.bool("registerWithMachined"),
        credential_files: machine::credentials(written),
        graphics: machine::graphics(definition)?,
        virtiofsd: disks::virtiofsd(definition)?,
        options: hypervisors::options(definition)?,
        guest: guest::guest(definition)?,
    })
}

fn each<T>(items: impl Iterator<Item = Built<T>>) -> Built<Vec<T>> {
    items.collect()
}

/// A newtype of a text that the walk has accepted.
fn named<T>(text: &str, option: &str) -> Built<T>
where
    T: TryFrom<String, Error = crate::names::InvalidName>,
{
    T::try_from(text.to_owned()).map_err(|wrong| {
        let message = format!("`{text}` is not accepted here");
        Box::new(Problem::about(option, message).accepted(wrong.accepted))
    })
}

fn missing(option: &str) -> Box<Problem> {
    Box::new(Problem::about(option, "Required, and not given"))
}
