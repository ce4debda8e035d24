//! The relay between a guest's connection and a port of the host.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn relay(port: u16) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["relay", "127.0.0.1", &port.to_string()]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn both_directions_and_their_ends() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut child = relay(listener.local_addr().unwrap().port())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    child.stdin.take().unwrap().write_all(b"question").unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "question");
    stream.write_all(b"answer").unwrap();
    drop(stream);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == b"answer");
}

pub fn a_closed_port_is_said() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let output = relay(port).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said,
        format!("error: Nothing answers at port {port} of `127.0.0.1`\n")
    );
}
