//! A guest in the KVM host.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::ssh::KVM_HOST;
use crate::{Guest, KvmHost, Outcome};

/// Longest from a guest's start to SSH.
const BOOT: Duration = Duration::from_secs(400);

/// Longest that anything of a guest in an emulated host may take on a busy machine of two cores.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Where a guest runs, and how it is reached.
#[derive(Clone, Debug)]
pub struct Place {
    /// Runner package; the KVM host sees it at the same path.
    pub package: PathBuf,
    /// State directory in the KVM host.
    pub state: String,
    /// Address of the guest on the KVM host's bridge.
    pub address: &'static str,
    /// Name of the unit that it runs as.
    pub unit: String,
    /// Environment of the program, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Properties of the unit, `NAME=VALUE`.
    pub properties: Vec<String>,
}

/// How the guest is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `microvm run`, which serves shares and ends with the guest.
    Run,
    /// `bin/microvm-run`, which becomes the hypervisor.
    Package,
}

/// Killed when it is dropped, if it still runs.
pub struct Nested<'a> {
    host: &'a KvmHost,
    place: Place,
    run: Guest,
}

impl<'a> Nested<'a> {
    /// Starts a guest in a state directory that is there.
    pub fn start(host: &'a KvmHost, place: &Place, by: By, microvm: &Path) -> Outcome<Self> {
        let package = place.package.display();
        let program = match by {
            By::Run => format!("{} run {package}", microvm.display()),
            By::Package => format!("{package}/bin/microvm-run"),
        };
        let environment = place.environment.iter().map(|it| format!(" --setenv={it}"));
        let properties = place
            .properties
            .iter()
            .map(|it| format!(" --property={it}"));
        let line = format!(
            "exec systemd-run --quiet --collect --pipe --wait --unit={} \
             --working-directory={}{} {program}",
            place.unit,
            place.state,
            environment.chain(properties).collect::<String>()
        );
        let command = host.ssh().command(KVM_HOST, &line);
        let run = Guest::start(&place.unit, command, PathBuf::from(&place.state), None)?;
        let place = place.clone();
        Ok(Self { host, place, run })
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Waits until SSH answers.
    pub fn wait_for_ssh(&mut self) -> Outcome<Duration> {
        let start = Instant::now();
        while !self.host.ssh().connects(self.place.address) {
            let running = self.run.is_running()?;
            if !running || start.elapsed() > BOOT {
                let how = if running { "still runs" } else { "ended" };
                return Err(self.failed(&format!(
                    "{how} {} s after its start, and SSH did not answer",
                    start.elapsed().as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(start.elapsed())
    }

    /// Runs a command line in the guest, once it answers; gives its stdout.
    pub fn ssh(&self, line: &str) -> Outcome<String> {
        self.host.ssh().run(self.place.address, line)
    }

    /// Whether a server of the guest greets a new connection within seconds.
    pub fn greets(&self) -> bool {
        let line = format!(
            "timeout 5 socat -u TCP:{}:22 - | head -c 4",
            self.place.address
        );
        self.host
            .run(&line)
            .is_ok_and(|greeting| greeting == "SSH-")
    }

    /// Runs one of the package's programs in the state directory; gives what it printed.
    pub fn program(&self, name_and_arguments: &str) -> Outcome<String> {
        let Place { state, package, .. } = &self.place;
        // Some are asked by their own program, which is found as when they were started.
        self.host.run(&format!(
            "cd {state} && MICROVM_SHUTDOWN_TIMEOUT=300 {} {}/bin/{name_and_arguments}",
            self.place.environment.join(" "),
            package.display()
        ))
    }

    /// Waits until the hypervisor has ended as it should.
    pub fn ends(&mut self) -> Outcome {
        self.host.ssh().forget(self.place.address);
        let status = self.run.wait(PATIENCE)?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(&format!("ended with {status}")))
    }

    /// Waits until it has ended in any way; gives the exit code.
    pub fn exit_code(&mut self) -> Outcome<Option<i32>> {
        self.host.ssh().forget(self.place.address);
        Ok(self.run.wait(PATIENCE)?.code())
    }

    /// Kills every process of it at once, as a crash of the host would.
    pub fn kill_all(&mut self) -> Outcome {
        self.signal_all("KILL")?;
        self.exit_code()?;
        Ok(())
    }

    /// What `microvm-status` tells.
    pub fn status(&self) -> Outcome<serde_json::Value> {
        let printed = self.program("microvm-status --json")?;
        let all: serde_json::Value = serde_json::from_str(&printed)?;
        match all.get(0) {
            Some(status) => Ok(status.clone()),
            None => Err(format!("microvm-status printed `{printed}`").into()),
        }
    }

    /// Kills the hypervisor alone.
    pub fn kill_hypervisor(&self) -> Outcome {
        let status = self.status()?;
        let pid = status["pid"].as_u64().ok_or("the status has no process")?;
        self.host.run(&format!("kill -9 {pid}"))?;
        Ok(())
    }

    pub fn is_running(&mut self) -> Outcome<bool> {
        self.run.is_running()
    }

    pub fn expect(&mut self, text: &str) -> Outcome {
        self.run.expect(text, PATIENCE)
    }

    /// All that was printed so far, on the console and by the program.
    pub fn console(&self) -> String {
        self.run.console()
    }

    fn signal_all(&self, signal: &str) -> Outcome {
        let unit = &self.place.unit;
        self.host
            .run(&format!("systemctl kill --signal={signal} {unit}"))?;
        Ok(())
    }

    fn failed(&self, how: &str) -> crate::Failure {
        format!(
            "`{}` {how}; its console's end:\n{}",
            self.place.unit,
            self.run.tail()
        )
        .into()
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.host.ssh().forget(self.place.address);
        if matches!(self.run.is_running(), Ok(true)) {
            let _ = self.signal_all("KILL");
        }
    }
}
