use std::os::unix::net::UnixListener;

use serde_json::json;

use super::stand_in::serve;
use super::*;

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn one_connection_takes_several_requests() {
    let (_dir, path, requests) = serve(|request| match request {
        "GET /" => (200, r#"{"state":"Running"}"#.to_owned()),
        "PATCH /vm {\"state\":\"Paused\"}" => (204, String::new()),
        _ => (400, r#"{"fault_message":"no"}"#.to_owned()),
    });
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let state: Value = rest.get("/").unwrap();
    assert_eq!(state["state"], "Running");
    rest.patch("/vm", &json!({ "state": "Paused" })).unwrap();
    let error = rest.put("/vm.boot", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The hypervisor refused `PUT /vm.boot` (400): no"
    );
    drop(rest);
    assert_eq!(requests.iter().count(), 3);
}

#[test]
fn silence_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("held.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let error = rest.get::<Value>("/").unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
}

/// Says one thing to whoever comes, and closes.
fn saying(text: &'static str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(text.as_bytes());
    });
    (dir, path)
}

#[test]
fn others_are_told_apart() {
    let absent = Rest::connect(Path::new("/nonexistent/r.sock"), SHORT).unwrap_err();
    assert_eq!(absent.kind(), Kind::NotFound);
    let (_dir, path) = saying("SSH-2.0-OpenSSH\r\n");
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let error = rest.get::<Value>("/").unwrap_err();
    let said = error.to_string();
    assert!(said.ends_with("it said `SSH-2.0-OpenSSH`"), "{said}");
    let (_dir, path) = saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let error = rest.get::<Value>("/").unwrap_err();
    assert!(matches!(error, Error::Ended), "{error}");
}
