//! What each key does: one table, which the line of help is made of too.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Up,
    Down,
    First,
    Last,
    Start,
    Stop,
    Console,
    Logs,
    Suspend,
    Quit,
}

/// Keys for a wish, and how the help calls them, where it does.
struct Key {
    wish: Wish,
    codes: &'static [KeyCode],
    help: Option<(&'static str, &'static str)>,
}

const fn key(wish: Wish, codes: &'static [KeyCode]) -> Key {
    Key {
        wish,
        codes,
        help: None,
    }
}

const fn told(
    wish: Wish,
    codes: &'static [KeyCode],
    name: &'static str,
    what: &'static str,
) -> Key {
    Key {
        wish,
        codes,
        help: Some((name, what)),
    }
}

const KEYS: [Key; 9] = [
    key(Wish::Up, &[KeyCode::Up, KeyCode::Char('k')]),
    told(
        Wish::Down,
        &[KeyCode::Down, KeyCode::Char('j')],
        "up/down",
        "choose",
    ),
    key(Wish::First, &[KeyCode::Home, KeyCode::Char('g')]),
    key(Wish::Last, &[KeyCode::End, KeyCode::Char('G')]),
    told(Wish::Start, &[KeyCode::Char('s')], "s", "start"),
    told(Wish::Stop, &[KeyCode::Char('x')], "x", "stop"),
    told(
        Wish::Console,
        &[KeyCode::Char('c'), KeyCode::Enter],
        "c",
        "console",
    ),
    told(Wish::Logs, &[KeyCode::Char('l')], "l", "logs"),
    told(Wish::Quit, &[KeyCode::Char('q'), KeyCode::Esc], "q", "quit"),
];

/// What a key is for; `None` where it is for nothing.
pub fn wish(event: KeyEvent) -> Option<Wish> {
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return match event.code {
            KeyCode::Char('c') => Some(Wish::Quit),
            KeyCode::Char('z') => Some(Wish::Suspend),
            _ => None,
        };
    }
    let mut keys = KEYS.iter();
    let found = keys.find(|key| key.codes.contains(&event.code));
    found.map(|key| key.wish)
}

/// Names of keys and what they do.
pub fn help() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().filter_map(|key| key.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_and_each_is_found() {
        let mut seen = Vec::new();
        for key in &KEYS {
            for code in key.codes {
                assert!(!seen.contains(code), "`{code}` is there twice");
                seen.push(*code);
                let event = KeyEvent::new(*code, KeyModifiers::NONE);
                assert_eq!(wish(event), Some(key.wish));
            }
        }
    }

    #[test]
    fn control_c_quits_and_does_not_open_a_console() {
        let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(wish(event), Some(Wish::Quit));
    }
}
