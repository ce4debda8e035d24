//! The terminal, taken and given back as it was: at the end, at a stop, at a panic.

use std::io::{Stdout, Write, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::draw::render;
use super::state::State;
use crate::error::{Kind, OrKind, Result};

/// Ours until it is dropped.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub fn take() -> Result<Self> {
        give_back_at_panic();
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).or_kind(Kind::Other)?;
        let screen = Self { terminal };
        take().or_kind(Kind::Other)?;
        Ok(screen)
    }

    pub fn draw(&mut self, state: &State) -> Result<()> {
        let drawn = self.terminal.draw(|frame| render(frame, state));
        drawn.map(drop).or_kind(Kind::Other)
    }

    /// The whole picture is drawn anew, whatever is on the screen.
    pub fn forget(&mut self) -> Result<()> {
        self.terminal.clear().or_kind(Kind::Other)
    }

    /// Does something with the terminal as it was.
    pub fn lend<T>(&mut self, act: impl FnOnce() -> T) -> Result<T> {
        give_back();
        let done = act();
        // What a terminal answered to a guest's console is not for us.
        let _ = tcflush(std::io::stdin(), FlushArg::TCIFLUSH);
        take().or_kind(Kind::Other)?;
        self.forget()?;
        Ok(done)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Waits until there is input, a signal, or the time is over; says whether the terminal is still there:
/// crossterm (0.29) reads from one that has gone for ever.
pub fn waits_for_input(bound: Duration) -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let bound = PollTimeout::try_from(bound).unwrap_or(PollTimeout::ZERO);
    let _ = poll(&mut fds, bound);
    let seen = fds[0].revents().unwrap_or(PollFlags::empty());
    !seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
}

fn take() -> std::io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide)
}

/// A terminal that is gone needs nothing back.
fn give_back() {
    let _ = execute!(stdout(), Show, LeaveAlternateScreen);
    let _ = stdout().flush();
    let _ = disable_raw_mode();
}

/// Before the message, which would go with the alternate screen.
fn give_back_at_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
    }));
}
