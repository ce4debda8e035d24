//! One connection: one request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use guest_init::exec::{self, Kind, Request};
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{keys, terminal};

/// Frames of several threads, each whole.
#[derive(Clone)]
struct Peer(Arc<Mutex<File>>);

impl Peer {
    fn send(&self, kind: Kind, content: &[u8]) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exec::write(&mut *file, kind, content)
    }
}

/// Reads the request and carries it out; who may not command is told at most whether the guest
/// has booted.
pub fn serve(mut connection: File, may_command: bool) {
    let request = match exec::read(&mut connection) {
        Ok(Some((Kind::Request, text))) => String::from_utf8(text).ok(),
        _ => None,
    };
    let Ok(sender) = connection.try_clone() else {
        return;
    };
    let peer = Peer(Arc::new(Mutex::new(sender)));
    let done = match request.as_deref().and_then(Request::parse) {
        None => Err("the request is not understood".to_owned()),
        Some(Request::Ready) => Ok(wait_until_booted()),
        Some(_) if !may_command => Err("takes commands from the host's root alone".to_owned()),
        Some(Request::Key { user, line }) => keys::authorize(&user, &line).map(|()| 0),
        Some(Request::Command(command)) => run(&command, connection, &peer),
    };
    let _ = match done {
        Ok(code) => peer.send(Kind::Exit, &[code]),
        Err(why) => peer.send(Kind::Failure, why.as_bytes()),
    };
}

/// 0 when every job of the boot has ended; other inits have no such word, and are taken at theirs.
fn wait_until_booted() -> u8 {
    loop {
        if !Path::new("/run/systemd/system").is_dir() {
            // PID 1 is systemd that has not begun, or another init, which serves from the first.
            let init = std::fs::read_link("/proc/1/exe").unwrap_or_default();
            if !init.ends_with("systemd") && !init.starts_with("/init") {
                return 0;
            }
        } else if let Ok(output) = plain("systemctl")
            .args(["is-system-running", "--wait"])
            .output()
        {
            match output.stdout.trim_ascii() {
                b"running" | b"degraded" => return 0,
                b"maintenance" | b"stopping" => return 1,
                _ => {}
            }
        }
        thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// Where programs are, on NixOS too.
fn plain(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\
             /run/wrappers/bin:/run/current-system/sw/bin",
        )
        .env("HOME", "/root")
        .env("USER", "root")
        .env("SHELL", "/bin/sh")
        .current_dir("/");
    command
}

fn run(wanted: &exec::Command, connection: File, peer: &Peer) -> Result<u8, String> {
    let cannot = |error: io::Error| format!("cannot run `{}`: {error}", wanted.words[0]);
    let variables = wanted
        .environment
        .iter()
        .filter_map(|variable| variable.split_once('='));
    let mut command = plain(&wanted.words[0]);
    command.args(&wanted.words[1..]).envs(variables);
    match wanted.terminal {
        Some(size) => on_a_terminal(command, size, connection, peer),
        None => on_pipes(command, connection, peer),
    }
    .map_err(cannot)
}

fn on_pipes(mut command: Command, connection: File, peer: &Peer) -> io::Result<u8> {
    let mut child = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let readers = [
        child
            .stdout
            .take()
            .map(|from| pass_on(from, Kind::Output, peer)),
        child
            .stderr
            .take()
            .map(|from| pass_on(from, Kind::Error, peer)),
    ];
    let mut stdin = child.stdin.take();
    let group = Pid::from_raw(child.id() as i32);
    thread::spawn(move || {
        feed(connection, group, |kind, content| match kind {
            // What the command does not read any more is nobody's.
            Kind::Input => {
                let _ = stdin.as_mut().map(|stdin| stdin.write_all(content));
            }
            Kind::End => drop(stdin.take()),
            _ => {}
        });
    });
    finish(child, readers.into_iter().flatten())
}

fn on_a_terminal(
    mut command: Command,
    size: (u16, u16),
    connection: File,
    peer: &Peer,
) -> io::Result<u8> {
    let (ours, theirs) = terminal::open(size)?;
    take_terminal(&mut command);
    let child = command
        .stdin(theirs.try_clone()?)
        .stdout(theirs.try_clone()?)
        .stderr(theirs)
        .spawn()?;
    // It holds the other end open.
    drop(command);
    let reader = pass_on(ours.try_clone()?, Kind::Output, peer);
    let group = Pid::from_raw(child.id() as i32);
    let mut ours = ours;
    thread::spawn(move || {
        feed(connection, group, |kind, content| match (kind, content) {
            (Kind::Input, content) => {
                let _ = ours.write_all(content);
            }
            (Kind::Size, &[a, b, c, d]) => {
                let size = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                terminal::resize(&ours, size);
            }
            _ => {}
        });
    });
    finish(child, [reader])
}

#[expect(unsafe_code, reason = "what a child does before exec")]
fn take_terminal(command: &mut Command) {
    // SAFETY: two system calls, which may follow a fork.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
}

/// What the host says to a command that runs; when it goes, so does the command.
fn feed(mut connection: File, group: Pid, mut take: impl FnMut(Kind, &[u8])) {
    while let Ok(Some((kind, content))) = exec::read(&mut connection) {
        take(kind, &content);
    }
    let _ = killpg(group, Signal::SIGHUP);
}

fn pass_on(mut from: impl Read + Send + 'static, kind: Kind, peer: &Peer) -> JoinHandle<()> {
    let peer = peer.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        // A terminal whose last program has gone gives an error where a pipe ends.
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if peer.send(kind, &buffer[..length]).is_err() {
                return;
            }
        }
    })
}

/// After the command, what it said is waited for, though not what others go on saying.
fn finish(mut child: Child, readers: impl IntoIterator<Item = JoinHandle<()>>) -> io::Result<u8> {
    let status = child.wait()?;
    let start = std::time::Instant::now();
    for reader in readers {
        while !reader.is_finished() && start.elapsed() < std::time::Duration::from_secs(1) {
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    Ok(code(status))
}

/// As shells tell it.
fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.saturating_add(signal as u8),
        (None, None) => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Serves one request; gives what was said on both streams, and the code.
    fn asked(request: &Request, input: &[u8]) -> (String, String, Result<u8, String>) {
        asked_by(true, request, input)
    }

    fn asked_by(
        may_command: bool,
        request: &Request,
        input: &[u8],
    ) -> (String, String, Result<u8, String>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || serve(File::from(OwnedFd::from(theirs)), may_command));
        let mut host = File::from(OwnedFd::from(ours));
        exec::write(&mut host, Kind::Request, request.render().as_bytes()).unwrap();
        exec::write(&mut host, Kind::Input, input).unwrap();
        exec::write(&mut host, Kind::End, &[]).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = loop {
            match exec::read(&mut host).unwrap() {
                Some((Kind::Output, content)) => out.extend(content),
                Some((Kind::Error, content)) => err.extend(content),
                Some((Kind::Exit, content)) => break Ok(content[0]),
                Some((Kind::Failure, why)) => break Err(String::from_utf8(why).unwrap()),
                other => panic!("{other:?}"),
            }
        };
        server.join().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(err), code)
    }

    fn command(words: &[&str], terminal: Option<(u16, u16)>) -> Request {
        Request::Command(exec::Command {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            environment: vec!["GREETING=hi".to_owned()],
            terminal,
        })
    }

    #[test]
    fn a_command_has_its_streams_and_its_code() {
        let words = [
            "sh",
            "-c",
            "cat; echo \"$GREETING $1\" >&2; exit 7",
            "sh",
            "a  b'\"$x",
        ];
        let (out, err, code) = asked(&command(&words, None), b"given");
        assert_eq!((out.as_str(), err.as_str()), ("given", "hi a  b'\"$x\n"));
        assert_eq!(code, Ok(7));
    }

    #[test]
    fn much_output_is_whole_and_a_signal_is_a_code() {
        let words = ["sh", "-c", "head -c 300000 /dev/zero; kill -TERM $$"];
        let (out, _, code) = asked(&command(&words, None), b"");
        assert_eq!((out.len(), code), (300_000, Ok(143)));
    }

    #[test]
    fn a_terminal_has_the_size_that_was_asked_for() {
        let words = ["sh", "-c", "test -t 0 && stty size"];
        let (out, _, code) = asked(&command(&words, Some((33, 99))), b"");
        assert_eq!((out.trim(), code), ("33 99", Ok(0)));
    }

    #[test]
    fn others_than_root_have_nothing_run() {
        let key = Request::Key {
            user: "root".into(),
            line: "k".into(),
        };
        for request in [command(&["true"], None), key] {
            let (_, _, why) = asked_by(false, &request, b"");
            assert!(why.unwrap_err().contains("root alone"));
        }
    }

    #[test]
    fn what_cannot_run_is_told() {
        let (_, _, why) = asked(&command(&["/no/such/program"], None), b"");
        assert!(why.unwrap_err().contains("/no/such/program"));
    }
}
