//! The view itself: pictures, keys, signals, and what is being done.

use std::process::ExitCode;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::act::{self, Background};
use super::draw::progressive;
use super::look::{Settings, Watch, watch};
use super::row::Row;
use super::screen::{self, Screen};
use super::signals::Signals;
use super::state::{Deed, State, Verb, id};
use crate::error::{Error, Kind, OrKind, Result};
use crate::verbs::say;

/// Signals, ended commands and new figures are seen so soon.
const TICK: Duration = Duration::from_millis(100);

/// Shows all VMs until the person or a signal ends it.
pub fn show(settings: Settings, has_colour: bool) -> Result<ExitCode> {
    let signals = Signals::receive()?;
    let mut view = View {
        watch: watch(settings),
        state: State {
            has_colour,
            ..State::default()
        },
        background: Vec::new(),
        signals,
    };
    let mut screen = Screen::take()?;
    let ended = view.go_on(&mut screen);
    drop(screen);
    for Background { id, verb, .. } in &view.background {
        say(format!("{} `{}` goes on", progressive(*verb), id.1));
    }
    ended
}

struct View {
    watch: Watch,
    state: State,
    background: Vec<Background>,
    signals: Signals,
}

impl View {
    fn go_on(&mut self, screen: &mut Screen) -> Result<ExitCode> {
        screen.draw(&self.state)?;
        loop {
            if self.signals.end() || self.signals.interrupted() {
                return Ok(ExitCode::from(Kind::Interrupted as u8));
            }
            if self.signals.stopped() {
                screen.lend(Signals::stop_here)?;
                self.look_now();
            }
            let mut is_old = self.see()? | self.end_background();
            if self.signals.continued() {
                screen.forget()?;
                is_old = true;
            }
            if !screen::waits_for_input(TICK) {
                return Ok(ExitCode::from(Kind::Interrupted as u8));
            }
            if event::poll(Duration::ZERO).or_kind(Kind::Other)? {
                is_old = true;
                if self.react(screen)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            if is_old {
                screen.draw(&self.state)?;
            }
        }
    }

    /// Says whether the person has seen enough.
    fn react(&mut self, screen: &mut Screen) -> Result<bool> {
        let Event::Key(key) = event::read().or_kind(Kind::Other)? else {
            return Ok(false);
        };
        let deed = (key.kind != KeyEventKind::Release).then(|| self.state.press(key));
        match deed.flatten() {
            None => {}
            Some(Deed::Quit) => return Ok(true),
            Some(Deed::Suspend) => Signals::stop_the_job(),
            Some(Deed::Act(verb @ (Verb::Start | Verb::Stop), row)) => self.begin(verb, &row),
            Some(Deed::Act(verb, row)) => {
                let done = screen.lend(|| act::in_front(verb, &row, &self.signals))?;
                self.state.message = done.err().map(|error| error.with_causes());
                self.look_now();
            }
        }
        Ok(false)
    }

    fn begin(&mut self, verb: Verb, row: &Row) {
        match Background::start(verb, row) {
            Ok(begun) => {
                self.state.busy.insert(id(row), verb);
                self.background.push(begun);
                self.state.message = Some(format!("{} `{}` …", progressive(verb), row.name));
            }
            Err(error) => self.state.message = Some(error.with_causes()),
        }
    }

    /// Says whether something was seen.
    fn see(&mut self) -> Result<bool> {
        let mut is_new = false;
        loop {
            match self.watch.seen.try_recv() {
                Ok(seen) => self.state.see(seen),
                Err(TryRecvError::Empty) => return Ok(is_new),
                Err(TryRecvError::Disconnected) => {
                    return Err(Error::new(Kind::Other, "Nothing looks at the VMs any more"));
                }
            }
            is_new = true;
        }
    }

    /// Says whether a command has ended.
    fn end_background(&mut self) -> bool {
        let before = self.background.len();
        let state = &mut self.state;
        self.background.retain_mut(|background| {
            let Some(said) = background.ended() else {
                return true;
            };
            state.busy.remove(&background.id);
            state.message = Some(said);
            false
        });
        let has_ended = self.background.len() < before;
        if has_ended {
            self.look_now();
        }
        has_ended
    }

    fn look_now(&self) {
        let _ = self.watch.look_now.send(());
    }
}
