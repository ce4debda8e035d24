//! The picture: what the host does, a line per VM, what is to be said, what keys do. What colours
//! say, words say too.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::columns::{Column, GAP, fitting};
use super::figures::{bytes, percent};
use super::keys;
use super::row::{Doing, Row};
use super::state::{State, Verb, id};

/// Lines for a message or a question.
const SAID: u16 = 2;

pub fn render(frame: &mut Frame, state: &State) {
    let heights = [
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(SAID),
        Constraint::Length(1),
    ];
    let [top, middle, chosen, said, bottom] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(Line::from(summary(state)).style(bold()), top);
    match state.rows() {
        [] => frame.render_widget(Paragraph::new(nothing(state)), middle),
        _ => table(frame, state, middle),
    }
    let about = state.chosen().map(about).unwrap_or_default();
    frame.render_widget(Line::from(about), chosen);
    let words = Paragraph::new(words(state)).wrap(Wrap { trim: true });
    frame.render_widget(words, said);
    frame.render_widget(help(), bottom);
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn summary(state: &State) -> String {
    let rows = state.rows();
    let up = rows.iter().filter(|row| row.doing.is_up()).count();
    let processor = rows.iter().filter_map(|row| row.rates.processor_percent);
    let guests = rows.iter().filter_map(|row| row.host_bytes).sum();
    let noun = if rows.len() == 1 { "VM" } else { "VMs" };
    let mut text = format!(
        "microvm top  {} {noun}, {up} up  CPU {}  memory {}",
        rows.len(),
        percent(processor.sum::<f64>() + 0.0),
        bytes(guests)
    );
    if let Some((total, used)) = state.seen.as_ref().and_then(|seen| seen.memory) {
        text += &format!("; host {} of {}", bytes(used), bytes(total));
    }
    text
}

fn nothing(state: &State) -> String {
    match &state.seen {
        None => String::new(),
        Some(seen) => match &seen.problem {
            Some(problem) => problem.clone(),
            None => "No VM is installed, and none runs; `microvm create` installs one".to_owned(),
        },
    }
}

fn table(frame: &mut Frame, state: &State, area: Rect) {
    let rows = state.rows();
    let columns = fitting(rows, usize::from(area.width));
    let heading = columns
        .iter()
        .map(|(column, width)| Cell::from(aligned(column, column.heading, *width)));
    let lines = rows.iter().map(|row| line(state, row, &columns));
    let widths = columns
        .iter()
        .map(|(_, width)| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
    let table = Table::new(lines, widths)
        .header(TableRow::new(heading).style(bold().add_modifier(Modifier::UNDERLINED)))
        .column_spacing(GAP as u16)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut chosen = TableState::new().with_selected(state.chosen);
    frame.render_stateful_widget(table, area, &mut chosen);
}

fn line(state: &State, row: &Row, columns: &[(&'static Column, usize)]) -> TableRow<'static> {
    let cells = columns.iter().map(|(column, width)| {
        let text = match (column.heading, state.busy.get(&id(row))) {
            ("STATE", Some(verb)) => progressive(*verb).to_owned(),
            _ => (column.cell)(row),
        };
        Cell::from(aligned(column, &text, *width))
    });
    TableRow::new(cells).style(style(state, row))
}

fn aligned(column: &Column, text: &str, width: usize) -> String {
    match column.is_figure {
        true => format!("{text:>width$}"),
        false if text.chars().count() > width => {
            let kept: String = text.chars().take(width.saturating_sub(1)).collect();
            format!("{kept}~")
        }
        false => text.to_owned(),
    }
}

fn style(state: &State, row: &Row) -> Style {
    let colour = match row.doing {
        _ if !state.has_colour => return Style::new(),
        Doing::Running => Color::Green,
        Doing::Stopped => return Style::new(),
        Doing::Paused | Doing::Between => Color::Yellow,
        Doing::Unknown | Doing::Broken => Color::Red,
    };
    Style::new().fg(colour)
}

/// What was asked, else what was last said.
fn words(state: &State) -> Line<'static> {
    match &state.asks {
        Some(row) => {
            let question = format!("Stop `{}`? y stops it, any other key does not", row.name);
            Line::styled(question, bold())
        }
        None => Line::from(state.message.clone().unwrap_or_default()),
    }
}

fn about(row: &Row) -> String {
    let mut text = format!("{}: {}", row.name, row.dir.display());
    if let Some(pid) = row.pid {
        text += &format!(", process {pid}");
    }
    if let Some(note) = &row.note {
        text += &format!(", {note}");
    }
    text
}

pub fn progressive(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "starting",
        Verb::Stop => "stopping",
        Verb::Console => "console",
        Verb::Logs => "logs",
    }
}

fn help() -> Line<'static> {
    let spans = keys::help()
        .flat_map(|(name, what)| [Span::styled(name, bold()), Span::raw(format!(" {what}  "))]);
    Line::from(spans.collect::<Vec<_>>())
}
