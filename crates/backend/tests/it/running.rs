//! One QEMU that a test started, and its control socket; ended when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use backend::control::{Api, Control};
use backend::plan::Plan;
use backend::qmp::{self, EventName, Message, Request};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(300);

pub struct Running {
    child: Child,
    dir: PathBuf,
    control: Control,
    socket: Option<BufReader<UnixStream>>,
    events: Vec<EventName>,
}

impl Running {
    pub fn start(plan: &Plan, dir: &Path, more: &[&str]) -> Self {
        let output = |name: &str| Stdio::from(File::create(dir.join(name)).unwrap());
        let child = Command::new(&plan.argv.program)
            .args(&plan.argv.args)
            .args(more)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output("console"))
            .stderr(output("errors"))
            .spawn()
            .unwrap();
        Self {
            child,
            dir: dir.to_owned(),
            control: plan.control.clone(),
            socket: None,
            events: Vec::new(),
        }
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.dir.join(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn console(&self) -> String {
        self.read("console")
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Connects to the control socket, or gives what QEMU said when it ended.
    pub fn connect(&mut self) -> Result<(), String> {
        let Api::Qmp { socket } = self.control.api.clone() else {
            panic!("no socket");
        };
        let path = self.dir.join(socket);
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&path) {
                break stream;
            }
            if self.has_ended() {
                return Err(self.read("errors"));
            }
            assert!(Instant::now() < deadline, "no control socket");
            sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.socket = Some(BufReader::new(stream));
        // The socket is there before the devices are: QEMU may still end, even after a greeting.
        let greeting = self.message();
        let greeted = matches!(greeting, Some(Message::Greeting { .. }));
        if !greeted || self.ask(qmp::Command::QmpCapabilities).is_err() {
            self.wait(PATIENCE);
            return Err(self.read("errors"));
        }
        Ok(())
    }

    fn message(&mut self) -> Option<Message> {
        let mut line = String::new();
        self.socket.as_mut().unwrap().read_line(&mut line).ok()?;
        (!line.is_empty()).then(|| Message::parse(&line).unwrap())
    }

    pub fn ask(&mut self, command: qmp::Command) -> Result<Value, String> {
        let request = Request { command, id: 1 };
        let stream = self.socket.as_mut().unwrap().get_mut();
        let line = request.to_line();
        stream
            .write_all(line.as_bytes())
            .map_err(|e| e.to_string())?;
        loop {
            match self.message().ok_or("closed")? {
                Message::Return { value, id } => {
                    assert_eq!(id, Some(1));
                    return Ok(value);
                }
                Message::Error { error, .. } => return Err(error.to_string()),
                Message::Event(event) => self.events.push(event.name),
                Message::Greeting { .. } => panic!("a second greeting"),
            }
        }
    }

    pub fn until_event(&mut self, name: EventName) {
        while !self.events.contains(&name) {
            match self.message() {
                Some(Message::Event(event)) => self.events.push(event.name),
                other => panic!("no {name:?}: {other:?}\n{}", self.console()),
            }
        }
    }

    pub fn until_console_says(&mut self, word: &str) {
        self.until(|running| running.console().contains(word).then_some(()));
    }

    pub fn until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = done(self) {
                return value;
            }
            let ended = self.has_ended();
            let (console, errors) = (self.console(), self.read("errors"));
            assert!(!ended && Instant::now() < deadline, "{console}\n{errors}");
            sleep(Duration::from_millis(50));
        }
    }

    pub fn assert_alive_for(&mut self, time: Duration) {
        sleep(time);
        assert!(!self.has_ended(), "{}", self.read("errors"));
    }

    /// Whether QEMU ended by itself in time.
    pub fn wait(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.has_ended() {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
