//! What the view knows, and what a key changes of it. It draws nothing and does nothing itself.

use std::collections::HashMap;
use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::{Wish, wish};
use super::look::Seen;
use super::row::Row;
use super::vms::Place;

/// A VM, wherever it is.
pub type Id = (PathBuf, String);

/// What is to be done with a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Console,
    Logs,
}

/// What the one who draws is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Act(Verb, Box<Row>),
    Suspend,
    Quit,
}

#[derive(Debug, Default)]
pub struct State {
    /// `None` before the first look.
    pub seen: Option<Seen>,
    pub chosen: usize,
    /// The VM that is to be stopped, if the person says so.
    pub asks: Option<Row>,
    pub message: Option<String>,
    /// What is being done, with whom.
    pub busy: HashMap<Id, Verb>,
    pub has_colour: bool,
}

impl State {
    pub fn rows(&self) -> &[Row] {
        self.seen.as_ref().map_or(&[], |seen| &seen.rows)
    }

    pub fn chosen(&self) -> Option<&Row> {
        self.rows().get(self.chosen)
    }

    /// The same VM stays chosen, if it is still there.
    pub fn see(&mut self, seen: Seen) {
        let chosen = self.chosen().map(id);
        let same = seen.rows.iter().position(|row| Some(id(row)) == chosen);
        let last = seen.rows.len().saturating_sub(1);
        self.chosen = same.unwrap_or(self.chosen.min(last));
        self.seen = Some(seen);
    }

    pub fn press(&mut self, event: KeyEvent) -> Option<Deed> {
        let wish = wish(event);
        if let Some(row) = self.asks.take() {
            return match (event.code, wish) {
                (KeyCode::Char('y' | 'Y'), _) => Some(Deed::Act(Verb::Stop, Box::new(row))),
                (_, Some(Wish::Suspend)) => Some(Deed::Suspend),
                _ => None,
            };
        }
        self.message = None;
        let last = self.rows().len().saturating_sub(1);
        match wish? {
            Wish::Up => self.chosen = self.chosen.saturating_sub(1),
            Wish::Down => self.chosen = last.min(self.chosen + 1),
            Wish::First => self.chosen = 0,
            Wish::Last => self.chosen = last,
            Wish::Start => return self.act(Verb::Start),
            Wish::Stop => return self.act(Verb::Stop),
            Wish::Console => return self.act(Verb::Console),
            Wish::Logs => return self.act(Verb::Logs),
            Wish::Suspend => return Some(Deed::Suspend),
            Wish::Quit => return Some(Deed::Quit),
        }
        None
    }

    fn act(&mut self, verb: Verb) -> Option<Deed> {
        let row = self.chosen()?.clone();
        self.message = refusal(verb, &row, self.busy.get(&id(&row)));
        if self.message.is_some() {
            return None;
        }
        if verb == Verb::Stop {
            self.asks = Some(row);
            return None;
        }
        Some(Deed::Act(verb, Box::new(row)))
    }
}

/// Why that cannot be done, with what can be.
fn refusal(verb: Verb, row: &Row, busy: Option<&Verb>) -> Option<String> {
    let (name, is_up) = (&row.name, row.doing.is_up());
    let text = match verb {
        Verb::Start | Verb::Stop if busy.is_some() => {
            format!("`{name}` is being started or stopped already")
        }
        Verb::Start if is_up => format!("`{name}` runs already"),
        Verb::Stop if !is_up => format!("`{name}` does not run"),
        Verb::Console if !is_up => format!("`{name}` does not run; `s` starts it"),
        _ if row.place == Place::Strange => {
            format!("`{name}` is run by another user, who can stop and enter it")
        }
        Verb::Logs if row.place == Place::Run => format!(
            "`{name}` is not installed, and has no log; its console has what it said lately"
        ),
        _ => return None,
    };
    Some(text)
}

pub fn id(row: &Row) -> Id {
    (row.dir.clone(), row.name.clone())
}
