use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::net::UnixListener;

use serde_json::json;

use super::*;

const SHORT: Duration = Duration::from_millis(200);

/// Answers each request with the next text, and tells what it was asked.
fn served(
    answers: &'static [&'static str],
) -> (
    tempfile::TempDir,
    PathBuf,
    std::sync::mpsc::Receiver<String>,
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (asked, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        for answer in answers {
            let _ = asked.send(request(&mut reader));
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    (dir, path, requests)
}

fn request(reader: &mut BufReader<UnixStream>) -> String {
    let mut text = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + std::str::from_utf8(&body).unwrap()
}

#[test]
fn one_connection_takes_several_requests() {
    let (_dir, path, requests) = served(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"state\":\"Running\"}",
        "HTTP/1.1 204 \r\nServer: x\r\n\r\n",
        "HTTP/1.1 400 \r\nContent-Length: 22\r\n\r\n{\"fault_message\":\"no\"}",
    ]);
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let state: Value = rest.get("/").unwrap();
    assert_eq!(state["state"], "Running");
    rest.patch("/vm", &json!({ "state": "Paused" })).unwrap();
    let error = rest.put("/vm.boot", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The hypervisor refused `PUT /vm.boot` (400): no"
    );
    let requests: Vec<String> = requests.iter().collect();
    assert!(requests[0].starts_with("GET / HTTP/1.1\r\nHost: localhost\r\n"));
    assert!(requests[1].ends_with("Content-Length: 18\r\n\r\n{\"state\":\"Paused\"}"));
    assert!(requests[2].ends_with("json\r\n\r\n"));
}

#[test]
fn silence_has_an_end_and_so_have_drops() {
    let (_dir, path, _requests) = served(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]);
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let error = rest.get::<Value>("/").unwrap_err();
    // The stand-in closes the connection, a hypervisor would be silent.
    assert!(
        matches!(error, Error::Ended | Error::Busy { .. }),
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("held.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let error = rest.get::<Value>("/").unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
}

#[test]
fn others_are_told_apart() {
    let absent = Rest::connect(Path::new("/nonexistent/r.sock"), SHORT).unwrap_err();
    assert_eq!(absent.kind(), Kind::NotFound);
    let (_dir, path, _requests) = served(&["SSH-2.0-OpenSSH\r\n"]);
    let mut rest = Rest::connect(&path, SHORT).unwrap();
    let error = rest.get::<Value>("/").unwrap_err();
    assert!(
        error.to_string().ends_with("it said `SSH-2.0-OpenSSH`"),
        "{error}"
    );
}
