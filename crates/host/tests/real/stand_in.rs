//! Stands in for the `microvm` program: runs, serves and supervises what it is told in JSON.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use backend::control::{Api, Control};
use backend::plan::{Action, Argv, Console, Leaving, Plan};
use host::supervise::{self, Ended, Run};
use host::virtiofs::{SERVE_COMMAND, Served, Server, Shares};
use serde::Deserialize;

#[derive(Deserialize)]
struct Exec {
    state: PathBuf,
    before: Vec<Action>,
    argv: Argv,
    #[serde(default = "no_console")]
    console: Console,
}

fn no_console() -> Console {
    Console::None
}

#[derive(Deserialize)]
struct Supervise {
    state: PathBuf,
    program: PathBuf,
    args: Vec<String>,
    control: Control,
    served: Vec<Served>,
    stop_timeout_ms: u64,
}

/// `None` where this process is to run the tests.
pub fn main() -> Option<ExitCode> {
    let args: Vec<String> = std::env::args().collect();
    let (verb, what) = (args.get(1)?.as_str(), args.get(2)?);
    Some(match verb {
        SERVE_COMMAND => host::virtiofs::serve_main(what),
        "exec" => exec(&read(what)),
        "supervise" => supervise(read(what)),
        "relay" => relay(what, args.get(3)?),
        "virtiofsd-run" => virtiofsd_run(read(what)),
        _ => return None,
    })
}

fn read<T: serde::de::DeserializeOwned>(file: &str) -> T {
    let text = std::fs::read_to_string(file).expect("the test wrote it");
    serde_json::from_str(&text).expect("the test wrote JSON")
}

fn say(line: String) {
    eprintln!("{line}");
}

fn exec(told: &Exec) -> ExitCode {
    let plan = Plan {
        before: told.before.clone(),
        argv: told.argv.clone(),
        control: Control {
            vm: "web".to_owned(),
            mem_mib: 64,
            api: Api::None,
            agent: None,
            vsock: None,
        },
        console: told.console,
        leaving: Leaving::WithGuest,
    };
    // As a careless parent might leave it.
    let held = nix::sys::signal::SigSet::all();
    held.thread_block().expect("all can be held");
    let Err(error) = host::exec::run(
        &plan,
        "web",
        Path::new("package"),
        &told.state,
        &[],
        &mut say,
    );
    eprintln!("error: {error}");
    ExitCode::from(match error.kind() {
        host::Kind::Busy => 7,
        host::Kind::Storage => 8,
        _ => 5,
    })
}

fn shares(served: Vec<Served>) -> Shares {
    let program = std::env::current_exe().expect("it runs");
    Shares {
        served,
        server: Server::BuiltIn { program },
        group: None,
    }
}

fn supervise(told: Supervise) -> ExitCode {
    let args: Vec<OsString> = told.args.iter().map(OsString::from).collect();
    let result = supervise::run(
        &Run {
            vm: "web",
            program: &told.program,
            args: &args,
            state: &told.state,
            control: told.control,
            shares: shares(told.served),
            forward_ports: &[],
            console_on_stdin: false,
            stop_timeout: Duration::from_millis(told.stop_timeout_ms),
        },
        &mut say,
    );
    match result {
        Ok(Ended::Refused(code)) => ExitCode::from(code),
        Ok(ended) => {
            println!("{ended:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{:?}: {error}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn virtiofsd_run(served: Vec<Served>) -> ExitCode {
    match host::virtiofs::run_all(&shares(served), &mut say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn relay(address: &str, port: &str) -> ExitCode {
    let address = address.parse().expect("the test gave an address");
    match host::relay::run(address, port.parse().expect("the test gave a port")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
