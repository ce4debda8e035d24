//! QMP as QEMU speaks it.

use backend::plan::Version;
use backend::qmp::{BalloonInfo, Command, EventName, Message, Request, Shutdown, Status};
use rstest::rstest;

#[rstest]
#[case(Command::QmpCapabilities, r#"{"execute":"qmp_capabilities","id":"7"}"#)]
#[case(Command::SystemPowerdown, r#"{"execute":"system_powerdown","id":"7"}"#)]
#[case(Command::Quit, r#"{"execute":"quit","id":"7"}"#)]
#[case(Command::Stop, r#"{"execute":"stop","id":"7"}"#)]
#[case(Command::Cont, r#"{"execute":"cont","id":"7"}"#)]
#[case(Command::QueryStatus, r#"{"execute":"query-status","id":"7"}"#)]
#[case(Command::Balloon { value: 1 << 28 }, r#"{"execute":"balloon","arguments":{"value":268435456},"id":"7"}"#)]
#[case(Command::QueryBalloon, r#"{"execute":"query-balloon","id":"7"}"#)]
fn requests(#[case] command: Command, #[case] line: &str) {
    let request = Request { command, id: 7 };
    assert_eq!(request.to_line(), format!("{line}\n"));
    assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
}

#[test]
fn greeting() {
    let line = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"], "more": 1}}"#;
    let Message::Greeting { qmp } = Message::parse(line).unwrap() else {
        panic!("no greeting");
    };
    assert_eq!(Version::from(qmp.version.qemu), Version(7, 2, 22));
}

#[test]
fn returns() {
    let line =
        r#"{"return": {"status": "running", "singlestep": false, "running": true}, "id": "3"}"#;
    let Message::Return { value, id } = Message::parse(line).unwrap() else {
        panic!("no return");
    };
    assert_eq!(id, Some(3));
    let status: Status = serde_json::from_value(value).unwrap();
    assert!(status.running && status.status == "running");
    let empty = Message::parse(r#"{"return": {}}"#).unwrap();
    assert!(matches!(empty, Message::Return { id: None, .. }));
}

#[test]
fn errors() {
    let line = r#"{"id": "4", "error": {"class": "DeviceNotActive", "desc": "No balloon device has been activated"}}"#;
    let Message::Error { error, id } = Message::parse(line).unwrap() else {
        panic!("no error");
    };
    assert_eq!(id, Some(4));
    assert_eq!(
        error.to_string(),
        "The hypervisor refused: No balloon device has been activated"
    );
}

#[rstest]
#[case("POWERDOWN", EventName::Powerdown)]
#[case("RESET", EventName::Reset)]
#[case("BALLOON_CHANGE", EventName::BalloonChange)]
#[case("GUEST_PANICKED", EventName::GuestPanicked)]
#[case("JOB_STATUS_CHANGE", EventName::Other)]
fn events(#[case] name: &str, #[case] expected: EventName) {
    let line = format!(
        r#"{{"timestamp": {{"seconds": -1, "microseconds": -1}}, "event": "{name}", "data": {{"actual": 5}}}}"#
    );
    let Message::Event(event) = Message::parse(&line).unwrap() else {
        panic!("no event");
    };
    assert_eq!(event.name, expected);
    let info: BalloonInfo = serde_json::from_value(event.data).unwrap();
    assert_eq!(info.actual, 5);
}

#[test]
fn shutdown() {
    let line = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#;
    let Message::Event(event) = Message::parse(line).unwrap() else {
        panic!("no event");
    };
    let shutdown: Shutdown = serde_json::from_value(event.data).unwrap();
    assert!(shutdown.guest && shutdown.reason == "guest-shutdown");
}

#[rstest]
#[case("")]
#[case("{")]
#[case("{\"hello\": 1}")]
#[case("SSH-2.0-OpenSSH")]
fn others(#[case] line: &str) {
    let error = Message::parse(line).unwrap_err().to_string();
    assert_eq!(error, format!("Not a message of QMP: `{line}`"));
}
