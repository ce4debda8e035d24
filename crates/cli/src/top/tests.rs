//! Pictures of the view, on terminals of several sizes.

use std::path::PathBuf;
use std::time::Duration;

use host::sample::Rates;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::draw::render;
use super::look::Seen;
use super::row::{Doing, Row};
use super::state::{Deed, State, Verb, id};
use super::vms::Place;

fn row(name: &str, doing: Doing) -> Row {
    Row {
        name: name.to_owned(),
        dir: PathBuf::from("/var/lib/microvms").join(name),
        place: Place::Installed,
        doing,
        hypervisor: Some("qemu".to_owned()),
        pid: None,
        uptime: None,
        host_bytes: None,
        guest_mib: None,
        rates: Rates::default(),
        note: None,
    }
}

fn busy(name: &str, hypervisor: &str) -> Row {
    Row {
        hypervisor: Some(hypervisor.to_owned()),
        pid: Some(4321),
        uptime: Some(Duration::from_secs(266_400)),
        host_bytes: Some(1536 << 20),
        guest_mib: Some(1024),
        rates: Rates {
            processor_percent: Some(134.6),
            disk_read: Some(0),
            disk_written: Some(2_500_000),
            received: Some(999),
            sent: Some(123_456),
        },
        ..row(name, Doing::Running)
    }
}

fn state(rows: Vec<Row>) -> State {
    State {
        seen: Some(Seen {
            rows,
            memory: Some((8 << 30, 3 << 30)),
            problem: None,
        }),
        ..State::default()
    }
}

fn fleet() -> State {
    let silent = Row {
        note: Some("its hypervisor does not answer".to_owned()),
        ..busy("db", "cloud-hypervisor")
    };
    state(vec![
        Row {
            doing: Doing::Unknown,
            ..silent
        },
        row("mail", Doing::Stopped),
        Row {
            doing: Doing::Paused,
            ..busy("a-name-that-is-rather-long-for-a-column", "firecracker")
        },
        Row {
            hypervisor: None,
            ..row("torn", Doing::Broken)
        },
        Row {
            guest_mib: None,
            ..busy("web", "qemu")
        },
    ])
}

fn terminal(state: &State, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render(frame, state)).unwrap();
    terminal
}

fn picture(state: &State, width: u16, height: u16) -> String {
    terminal(state, width, height).backend().to_string()
}

fn press(state: &mut State, code: KeyCode) -> Option<Deed> {
    state.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn the_usual_terminal() {
    insta::assert_snapshot!(picture(&fleet(), 80, 24));
}

#[test]
fn a_narrow_one_has_what_matters_most() {
    insta::assert_snapshot!(picture(&fleet(), 40, 12));
}

#[test]
fn a_wide_one_cuts_nothing() {
    insta::assert_snapshot!(picture(&fleet(), 140, 12));
}

#[test]
fn nothing_there() {
    insta::assert_snapshot!(picture(&state(Vec::new()), 80, 8));
}

#[test]
fn any_size_can_be_drawn() {
    for width in 1..100 {
        for height in [1, 2, 5, 30] {
            picture(&fleet(), width, height);
        }
    }
}

#[test]
fn the_chosen_one_is_in_sight_among_many() {
    let mut many = state(
        (0..100)
            .map(|n| busy(&format!("vm-{n:03}"), "qemu"))
            .collect(),
    );
    press(&mut many, KeyCode::End);
    assert!(picture(&many, 80, 24).contains("vm-099   running"));
    press(&mut many, KeyCode::Home);
    assert!(picture(&many, 80, 24).contains("vm-000   running"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let mut state = fleet();
    let colours = |state: &State| {
        let terminal = terminal(state, 80, 24);
        let cells = terminal.backend().buffer().content().iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert_eq!(colours(&state), 0);
    state.has_colour = true;
    assert!(colours(&state) > 0);
}

#[test]
fn stopping_is_asked_for_and_said() {
    let mut state = fleet();
    press(&mut state, KeyCode::End);
    assert_eq!(press(&mut state, KeyCode::Char('x')), None);
    insta::assert_snapshot!(picture(&state, 80, 12));
    assert_eq!(press(&mut state, KeyCode::Char('n')), None);
    assert_eq!(
        press(&mut state, KeyCode::Char('y')),
        None,
        "nothing is asked any more"
    );
    press(&mut state, KeyCode::Char('x'));
    let web = state.chosen().unwrap().clone();
    let deed = press(&mut state, KeyCode::Char('y'));
    assert_eq!(deed, Some(Deed::Act(Verb::Stop, Box::new(web.clone()))));
    state.busy.insert(id(&web), Verb::Stop);
    assert!(picture(&state, 80, 12).contains("stopping"));
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let mut state = fleet();
    let run = Row {
        place: Place::Run,
        ..busy("aside", "qemu")
    };
    let strange = Row {
        place: Place::Strange,
        ..busy("theirs", "qemu")
    };
    let rows = &mut state.seen.as_mut().unwrap().rows;
    rows.extend([run, strange]);
    let mut said = |chosen, key| {
        state.chosen = chosen;
        assert_eq!(press(&mut state, KeyCode::Char(key)), None);
        state.message.clone().unwrap_or_default()
    };
    insta::assert_snapshot!(
        [
            said(4, 's'),
            said(1, 'x'),
            said(1, 'c'),
            said(5, 'l'),
            said(6, 'x')
        ]
        .join("\n")
    );
}

#[test]
fn the_same_one_stays_chosen() {
    let mut state = fleet();
    press(&mut state, KeyCode::Char('j'));
    let rows = vec![
        row("another", Doing::Stopped),
        row("mail", Doing::Stopped),
        row("z", Doing::Stopped),
    ];
    state.see(Seen {
        rows: [vec![row("aa", Doing::Stopped)], rows].concat(),
        ..Seen::default()
    });
    assert_eq!(state.chosen().unwrap().name, "mail");
    state.see(Seen {
        rows: vec![row("z", Doing::Stopped)],
        ..Seen::default()
    });
    assert_eq!(state.chosen().unwrap().name, "z");
    state.see(Seen::default());
    assert_eq!(state.chosen(), None);
}
