//! `microvm top` on a terminal of 80 columns and 24 lines, with a real guest.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Fleet, Outcome, check, guest, host};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A guest that is seen to start, run and stop.
const VM: &str = "watched";

/// What is not for a guest to do comes so soon, on a busy machine too.
const SOON: Duration = Duration::from_secs(120);

pub fn lacks(_fleet: &Fleet) -> Option<String> {
    host::lacks("tmux")
}

/// Starts, enters, leaves, stops and continues, and ends, all by keys and signals.
pub fn shows_starts_and_stops(fleet: &Fleet) -> Outcome {
    fleet.build("aside")?;
    host::output(command(fleet).args(["create", VM, "-f", "."]))?;
    let _ends = Ends(fleet);
    let terminal = Terminal::start(fleet)?;
    terminal.type_in("echo $$ >shell; stty -g >before; microvm top --interval 1\n")?;
    terminal.wait_for_state("stopped", SOON)?;
    sees_what_runs_aside(fleet, &terminal)?;
    terminal.choose()?;
    terminal.press("s")?;
    terminal.wait_for_state("running", SOON)?;
    terminal.wait(SOON, "processor time", |screen| cpu(screen) > 0.0)?;
    console_log_and_size(&terminal)?;
    stops_and_goes_on(&terminal)?;
    let start = Instant::now();
    while !guest::answers_ssh(fleet.port("tcp:watched")) {
        check!(start.elapsed() < guest::BOOT, "the guest does not boot");
        std::thread::sleep(Duration::from_millis(100));
    }
    terminal.choose()?;
    terminal.press("x")?;
    terminal.wait_for("Stop `watched`?", SOON)?;
    terminal.press("y")?;
    terminal.wait_for("`watched` has shut itself down", guest::BOOT)?;
    terminal.wait_for_state("stopped", SOON)?;
    leaves_the_terminal_as_it_was(&terminal)?;
    ends_with_its_terminal(terminal)
}

/// Ends the VM where the test did not come that far.
struct Ends<'a>(&'a Fleet);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let mut stop = command(self.0);
        stop.args(["stop", VM]).env("MICROVM_SHUTDOWN_TIMEOUT", "1");
        let _ = stop.output();
    }
}

/// What `microvm run` runs is seen where it runs, and goes when it ends.
fn sees_what_runs_aside(fleet: &Fleet, terminal: &Terminal) -> Outcome {
    let mut guest = fleet.run("aside")?;
    terminal.wait(SOON, "what `microvm run` runs", |screen| {
        state(screen, "aside") == Some("running".to_owned())
    })?;
    guest.signal(Signal::SIGTERM)?;
    // The second one ends it at once; two at the same time are one.
    std::thread::sleep(Duration::from_secs(2));
    guest.signal(Signal::SIGTERM)?;
    guest.wait(guest::BOOT)?;
    terminal.wait(SOON, "its end", |screen| state(screen, "aside").is_none())
}

fn console_log_and_size(terminal: &Terminal) -> Outcome {
    terminal.choose()?;
    terminal.press("c")?;
    terminal.wait_for("The console of `watched`", SOON)?;
    terminal.press("C-]")?;
    terminal.wait_for_state("running", SOON)?;
    terminal.choose()?;
    terminal.press("l")?;
    terminal.wait(SOON, "the log", |screen| !screen.contains("HYPERVISOR"))?;
    terminal.press("C-c")?;
    terminal.wait_for_state("running", SOON)?;
    terminal.tmux(&["resize-window", "-x", "50", "-y", "12"])?;
    terminal.wait(SOON, "fewer columns", |screen| {
        screen.contains("GUEST") && !screen.contains("UPTIME")
    })?;
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"])?;
    terminal.wait_for("UPTIME", SOON)
}

fn stops_and_goes_on(terminal: &Terminal) -> Outcome {
    terminal.press("C-z")?;
    terminal.wait(SOON, "the shell", |screen| {
        !screen.contains("UPTIME") && screen.contains("Stopped")
    })?;
    terminal.type_in("stty -g >stopped; fg\n")?;
    terminal.wait_for_state("running", SOON)
}

/// By Ctrl-C, and by SIGTERM.
fn leaves_the_terminal_as_it_was(terminal: &Terminal) -> Outcome {
    terminal.press("C-c")?;
    terminal.type_in("echo ended: $?; stty -g >ended\n")?;
    terminal.wait_for("ended: 0", SOON)?;
    terminal.type_in("microvm top; echo ended: $?; stty -g >killed; echo all done\n")?;
    terminal.wait_for_state("stopped", SOON)?;
    let view = terminal.child_of_shell()?;
    kill(view, Signal::SIGTERM)?;
    terminal.wait_for("ended: 130\nall done", SOON)?;
    let modes = |name| std::fs::read_to_string(terminal.directory.join(name));
    let before = modes("before")?;
    for name in ["stopped", "ended", "killed"] {
        let now = modes(name)?;
        check!(
            now == before,
            "the terminal, `{name}`, is `{now}`, not `{before}`"
        );
    }
    Ok(())
}

/// One that has gone is not read from for ever.
fn ends_with_its_terminal(terminal: Terminal) -> Outcome {
    terminal.type_in("clear; microvm top\n")?;
    terminal.wait_for_state("stopped", SOON)?;
    let view = terminal.child_of_shell()?;
    drop(terminal);
    let start = Instant::now();
    // Nobody may have asked how it ended; then it has no command line any more.
    let words = || std::fs::read(format!("/proc/{view}/cmdline")).unwrap_or_default();
    while !words().is_empty() {
        check!(
            start.elapsed() < SOON,
            "the view goes on without its terminal"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn command(fleet: &Fleet) -> Command {
    let mut command = fleet.microvm();
    with_state(&mut command, fleet);
    command
}

fn with_state(command: &mut Command, fleet: &Fleet) {
    command
        .env("MICROVM_STATE_DIR", fleet.path().join("vms"))
        // Emulated, beside other guests: a minute may not be enough for a shutdown.
        .env("MICROVM_SHUTDOWN_TIMEOUT", "200");
}

/// A shell in tmux; both end when it is dropped.
struct Terminal {
    socket: PathBuf,
    directory: PathBuf,
}

impl Terminal {
    fn start(fleet: &Fleet) -> Outcome<Self> {
        let terminal = Self {
            socket: fleet.path().join("tmux"),
            directory: fleet.path().to_owned(),
        };
        let program = host::microvm();
        let beside = program.parent().unwrap_or(Path::new("/")).to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(beside).chain(std::env::split_paths(&path));
        let environment = fleet.microvm();
        let mut tmux = terminal.command();
        tmux.envs(
            environment
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        with_state(&mut tmux, fleet);
        tmux.env("PATH", std::env::join_paths(places)?)
            .env("NO_COLOR", "1")
            .env_remove("TMUX")
            .current_dir(fleet.path())
            .args(["new-session", "-d", "-x", "80", "-y", "24", "sh"]);
        host::output(&mut tmux)?;
        Ok(terminal)
    }

    fn command(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]);
        tmux
    }

    fn tmux(&self, words: &[&str]) -> Outcome<String> {
        host::output(self.command().args(words))
    }

    /// The program that the shell runs.
    fn child_of_shell(&self) -> Outcome<Pid> {
        let shell = std::fs::read_to_string(self.directory.join("shell"))?;
        let shell = shell.trim();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
        let child = children
            .split_whitespace()
            .next()
            .ok_or("the shell runs nothing")?;
        Ok(Pid::from_raw(child.parse()?))
    }

    fn press(&self, key: &str) -> Outcome {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// Goes down to the VM: others run on this machine, whose names may be before its own.
    fn choose(&self) -> Outcome {
        let start = Instant::now();
        let about = format!("{VM}: ");
        loop {
            let screen = self.tmux(&["capture-pane", "-p"])?;
            if screen.lines().any(|line| line.starts_with(&about)) {
                return Ok(());
            }
            check!(
                start.elapsed() < SOON,
                "`{VM}` is not to be chosen:\n{screen}"
            );
            self.press("Down")?;
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn type_in(&self, text: &str) -> Outcome {
        self.tmux(&["send-keys", "-l", text]).map(drop)
    }

    fn wait_for(&self, text: &str, within: Duration) -> Outcome {
        self.wait(within, text, |screen| screen.contains(text))
    }

    fn wait_for_state(&self, expected: &str, within: Duration) -> Outcome {
        let what = format!("`{VM}` {expected}");
        self.wait(within, &what, |screen| {
            state(screen, VM).as_deref() == Some(expected)
        })
    }

    fn wait(&self, within: Duration, what: &str, is_so: impl Fn(&str) -> bool) -> Outcome {
        let start = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"])?;
            if is_so(&screen) {
                return Ok(());
            }
            check!(
                start.elapsed() < within,
                "the terminal does not show {what} within {within:?}:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}

/// Words of the line of a VM in the table.
fn line<'a>(screen: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let table = screen.split_once("HYPERVISOR")?.1;
    let lines = table.lines().map(|line| line.split_whitespace().collect());
    let mut lines = lines.filter(|words: &Vec<&str>| words.len() == 11);
    lines.find(|words| words.first() == Some(&name))
}

fn state(screen: &str, name: &str) -> Option<String> {
    Some((*line(screen, name)?.get(1)?).to_owned())
}

fn cpu(screen: &str) -> f64 {
    let shown = line(screen, VM).and_then(|words| words.get(3).copied());
    let percent = shown.and_then(|cpu| cpu.strip_suffix('%')?.parse().ok());
    percent.unwrap_or_default()
}
