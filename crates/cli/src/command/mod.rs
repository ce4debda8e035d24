//! The commands, one file each; this one only dispatches.

mod apply;
mod autostart;
mod balloon;
mod build;
mod check;
mod console;
mod create;
mod deploy;
mod doctor;
mod exec;
mod gc;
mod generate;
mod host;
mod hypervisors;
mod init;
mod list;
mod logs;
mod migrate;
mod network;
mod nix;
mod options;
mod pause;
mod plan;
mod receive;
mod registry;
mod remove;
mod restart;
mod resume;
mod rollback;
mod run;
mod schema;
mod shutdown;
mod ssh;
mod start;
mod status;
mod stop;
mod top;
mod update;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::term;

/// Declares, builds and runs microVMs.
#[derive(Parser)]
#[command(name = "microvm", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Show all that Nix says where it fails
    #[arg(long, global = true)]
    show_trace: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 other, 2 usage, 3 wrong definition, 4 not found, 5 something is missing or \
too old, 6 build failed, 7 busy, 8 storage, 9 hypervisor failed, 10 did not stop in time, \
130 interrupted.";

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Build(build::Args),
    Run(run::Args),
    Create(create::Args),
    Update(update::Args),
    List(list::Args),
    Top(top::Args),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Logs(logs::Args),
    Ssh(ssh::Args),
    Exec(exec::Args),
    Rollback(rollback::Args),
    Remove(remove::Args),
    Autostart(autostart::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Migrate(migrate::Args),
    Deploy(deploy::Args),
    #[command(hide = true)]
    Receive(receive::Args),
    Doctor(doctor::Args),
    Host(host::Args),
    Network(network::Args),
    #[command(hide = true)]
    Nix(nix::Args),
    Status(status::Args),
    Console(console::Args),
    Shutdown(shutdown::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Balloon(balloon::Args),
    Registry(registry::Args),
    Gc(gc::Args),
    #[command(hide = true)]
    Generate(generate::Args),
    Options(options::Args),
    Schema(schema::Args),
    Hypervisors(hypervisors::Args),
}

impl Command {
    fn only_prints(&self) -> bool {
        if let Self::Network(args) = self {
            return args.only_prints();
        }
        if let Self::Top(args) = self {
            return args.only_prints();
        }
        matches!(
            self,
            Self::Check(_)
                | Self::List(_)
                | Self::Logs(_)
                | Self::Doctor(_)
                | Self::Plan(_)
                | Self::Status(_)
                | Self::Options(_)
                | Self::Schema(_)
                | Self::Hypervisors(_)
        )
    }
}

pub fn run() -> Result<ExitCode> {
    let arguments = crate::short::translated(std::env::args_os().collect());
    let Cli {
        command,
        show_trace,
    } = Cli::parse_from(arguments);
    if show_trace {
        crate::flake::show_trace();
    }
    if command.only_prints() {
        term::end_with_the_reader();
    }
    match command {
        Command::Init(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Build(args) => args.run(),
        Command::Run(args) => args.run(),
        Command::Create(args) => args.run(),
        Command::Update(args) => args.run(),
        Command::List(args) => args.run(),
        Command::Top(args) => args.run(),
        Command::Start(args) => args.run(),
        Command::Stop(args) => args.run(),
        Command::Restart(args) => args.run(),
        Command::Logs(args) => args.run(),
        Command::Ssh(args) => args.run(),
        Command::Exec(args) => args.run(),
        Command::Rollback(args) => args.run(),
        Command::Remove(args) => args.run(),
        Command::Autostart(args) => args.run(),
        Command::Plan(args) => args.run(),
        Command::Apply(args) => args.run(),
        Command::Migrate(args) => args.run(),
        Command::Deploy(args) => args.run(),
        Command::Receive(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Host(args) => args.run(),
        Command::Network(args) => args.run(),
        Command::Nix(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Console(args) => args.run(),
        Command::Shutdown(args) => args.run(),
        Command::Pause(args) => args.run(),
        Command::Resume(args) => args.run(),
        Command::Balloon(args) => args.run(),
        Command::Registry(args) => args.run(),
        Command::Gc(args) => args.run(),
        Command::Generate(args) => args.run(),
        Command::Options(args) => args.run(),
        Command::Schema(args) => args.run(),
        Command::Hypervisors(args) => args.run(),
    }
}

/// `` `a`, `b` and `c` ``
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", most.join(", "))
        }
    }
}

/// A directory as a reference has it: a bare word would be a name of the registry.
pub fn as_source(dir: &std::path::Path) -> String {
    let shown = dir.display().to_string();
    if shown.starts_with(['.', '/', '~']) || shown.contains('/') {
        shown
    } else {
        format!("./{shown}")
    }
}
