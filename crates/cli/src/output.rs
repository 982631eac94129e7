//! Output on stdout: tables for people, JSON for programs, ids alone for scripts. What is said beside it goes to stderr.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;
use comfy_table::{Attribute, Color, ContentArrangement, Table, presets};
use runyard_domain::run::Status;
use serde::Serialize;

use crate::failure::Failure;

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The API's own objects.
    Json,
    /// Ids only, one per line.
    Quiet,
    /// Comma-separated values (`runyard metrics` only).
    Csv,
}

/// Where and how answers are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    /// Whether tables on stdout are coloured.
    color: bool,
}

/// What a cell's colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Dim,
    Good,
    Bad,
    Busy,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }
}

impl Cell {
    pub(crate) fn new(text: impl Display, tone: Tone) -> Self {
        Self { text: text.to_string(), tone }
    }
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, color: color_wanted() && io::stdout().is_terminal() }
    }

    /// Text in the colour of its tone, where stdout takes colours.
    pub(crate) fn painted(self, text: &str, tone: Tone) -> String {
        painted(text, tone, self.color)
    }

    /// A table.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<Cell>>) -> Result<(), Failure> {
        text(&render(header, rows, self.color, self.color.then(width).flatten()))
    }

    /// A list of the API's objects in the wanted format. `none` is what people are told when it is empty.
    pub(crate) fn list<T: Serialize>(
        self,
        items: &[T],
        id: impl Fn(&T) -> String,
        header: &[&str],
        row: impl Fn(&T) -> Vec<Cell>,
        none: &str,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => json(&items),
            Format::Quiet => items.iter().try_for_each(|item| line(id(item))),
            Format::Table if items.is_empty() => {
                note(none);
                Ok(())
            }
            Format::Table => self.table(header, items.iter().map(row).collect()),
            Format::Csv => Err(no_csv()),
        }
    }

    /// One object of the API in the wanted format; `people` shows it to people.
    pub(crate) fn one<T: Serialize>(
        self,
        item: &T,
        id: &str,
        people: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => json(item),
            Format::Quiet => line(id),
            Format::Table => people(),
            Format::Csv => Err(no_csv()),
        }
    }
}

/// Text as it is.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// One line.
pub(crate) fn line(line: impl Display) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// Bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::new(format!("cannot write to stdout: {error}")),
    })
}

/// An object of the API.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(format!("cannot show the answer as JSON: {error}")))?;
    line(text)
}

/// Only metrics are numbers enough for CSV.
pub(crate) fn no_csv() -> Failure {
    Failure::usage("--output csv is for `runyard metrics` only").hint("use --output json")
}

/// Says something beside the answer, on stderr.
pub(crate) fn note(text: impl Display) {
    // With stderr closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether colours may be used where there is a terminal (<https://no-color.org>).
pub(crate) fn color_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Green for well, red for badly, yellow for on the way.
pub(crate) fn status_cell(status: Option<Status>) -> Cell {
    let Some(status) = status else { return "".into() };
    Cell::new(status, status_tone(status))
}

pub(crate) fn status_tone(status: Status) -> Tone {
    match status {
        Status::JobCompleted => Tone::Good,
        Status::JobFailed | Status::JobCreateFailed | Status::JobUnknown => Tone::Bad,
        Status::JobTerminated => Tone::Dim,
        _ => Tone::Busy,
    }
}

/// Text in the colour of its tone, for terminals.
pub(crate) fn painted(text: &str, tone: Tone, color: bool) -> String {
    let code = match tone {
        _ if !color => return text.to_owned(),
        Tone::Plain => return text.to_owned(),
        Tone::Dim => 2,
        Tone::Good => 32,
        Tone::Bad => 31,
        Tone::Busy => 33,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// A table without colours, as text.
pub(crate) fn plain(header: &[&str], rows: Vec<Vec<Cell>>) -> String {
    render(header, rows, false, None)
}

/// Columns with two spaces between them and no lines; nothing is cut where `width` is `None`.
fn render(header: &[&str], rows: Vec<Vec<Cell>>, color: bool, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    match width {
        Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if !header.is_empty() {
        table.set_header(header.iter().map(|&text| bold(comfy_table::Cell::new(text), color)));
    }
    for row in rows {
        table.add_row(row.into_iter().map(|cell| colored(&cell, color)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn bold(cell: comfy_table::Cell, color: bool) -> comfy_table::Cell {
    if color { cell.add_attribute(Attribute::Bold) } else { cell }
}

fn colored(cell: &Cell, color: bool) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(&cell.text);
    match cell.tone {
        _ if !color => shown,
        Tone::Plain => shown,
        Tone::Dim => shown.add_attribute(Attribute::Dim),
        Tone::Good => shown.fg(Color::Green),
        Tone::Bad => shown.fg(Color::Red),
        Tone::Busy => shown.fg(Color::Yellow),
    }
}

/// Columns of the terminal, where there is one.
pub(crate) fn width() -> Option<u16> {
    Table::new().width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["1".into(), status_cell(Some(Status::JobCompleted)), "long name of a run".into()],
            vec!["22".into(), status_cell(None), "x".into()],
        ]
    }

    #[test]
    fn a_table_has_aligned_columns_and_no_trailing_spaces() {
        let text = render(&["ID", "STATUS", "NAME"], rows(), false, None);
        assert_eq!(
            text,
            "ID  STATUS         NAME\n1   job_completed  long name of a run\n22                 x\n"
        );
    }

    #[test]
    fn colours_are_only_used_where_they_are_wanted() {
        let plain = render(&["ID", "STATUS", "NAME"], rows(), false, None);
        assert!(!plain.contains('\x1b'));
        let colored = render(&["ID", "STATUS", "NAME"], rows(), true, None);
        assert!(colored.contains("\x1b["), "{colored:?}");
        assert_eq!(painted("x", Tone::Bad, false), "x");
        assert_eq!(painted("x", Tone::Bad, true), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn a_narrow_terminal_wraps_instead_of_cutting() {
        let text = render(&["ID", "STATUS", "NAME"], rows(), false, Some(34));
        assert!(text.lines().all(|line| line.len() <= 34), "{text}");
        assert!(["long", "name", "run"].iter().all(|word| text.contains(word)), "{text}");
    }
}
