//! Stands in for QEMU, to see when a runner hands over: answers probes, then tells the time. As a VM
//! that stays it serves QMP until it is asked to power off.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Directory that holds this program as `bin/qemu-system-ARCH`.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// What the names of VMs begin with whose stand-in stays.
pub const STAYS: &str = "stays";

/// `None` where this process was called as the benchmark itself.
pub fn answer() -> Option<i32> {
    let mut args = std::env::args();
    args.next();
    let args: Vec<String> = args.collect();
    std::env::current_exe()
        .ok()?
        .file_name()
        .filter(|name| *name == PROGRAM)?;
    if args
        .iter()
        .any(|arg| arg == "--version" || arg == "-version")
    {
        println!("QEMU emulator version 7.2.22");
    } else if let Some(name) = args.iter().find_map(|arg| arg.strip_prefix("guest="))
        && name.starts_with(STAYS)
    {
        serve(&format!("{name}.sock"));
    } else if !args.iter().any(|arg| arg == "help" || arg == "-help") {
        println!("handed over at {}", now().as_nanos());
    }
    Some(0)
}

/// In the state directory, as the arguments say.
fn serve(socket: &str) {
    let Ok(listener) = UnixListener::bind(socket) else {
        return;
    };
    for client in listener.incoming().flatten() {
        if let Ok(true) = answer_client(client) {
            let _ = std::fs::remove_file(socket);
            return;
        }
    }
}

/// Whether it asked for a power-off.
fn answer_client(mut client: UnixStream) -> std::io::Result<bool> {
    let version = serde_json::json!({ "qemu": { "major": 7, "minor": 2, "micro": 22 } });
    let greeting = serde_json::json!({ "QMP": { "version": version, "capabilities": [] } });
    client.write_all(format!("{greeting}\n").as_bytes())?;
    for line in BufReader::new(client.try_clone()?).lines() {
        let request: serde_json::Value = serde_json::from_str(&line?)?;
        let said = match request["execute"].as_str() {
            Some("query-status") => serde_json::json!({ "status": "running", "running": true }),
            _ => serde_json::json!({}),
        };
        let answer = serde_json::json!({ "return": said, "id": request["id"] });
        client.write_all(format!("{answer}\n").as_bytes())?;
        if request["execute"] == "system_powerdown" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The monotonic clock, the same in all processes.
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(Duration::from)
        .unwrap_or_default()
}
