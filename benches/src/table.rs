//! The one table: what was measured against which target, and what stands beside it. Markdown that also reads as text.

use std::fmt;

/// The rows, and what explains them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
    notes: Vec<String>,
}

impl Table {
    /// A measurement that has a target.
    pub(crate) fn judged(&mut self, what: &str, target: &str, measured: String, beside: String, met: bool) {
        let verdict = if met { "met" } else { "NOT MET" };
        crate::progress(&format!("{what}: {measured} (target {target}: {verdict}) {beside}"));
        self.rows.push([what.into(), target.into(), measured, verdict.into(), beside]);
    }

    /// A measurement without a target.
    pub(crate) fn recorded(&mut self, what: &str, measured: String, beside: String) {
        crate::progress(&format!("{what}: {measured} {beside}"));
        self.rows.push([what.into(), "-".into(), measured, "-".into(), beside]);
    }

    /// A paragraph below the table.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "target", "measured", "", "beside, in the same run"].map(str::to_owned);
        let rows = || std::iter::once(&head).chain(&self.rows);
        let widths: [usize; 5] = std::array::from_fn(|column| {
            rows().map(|row| row[column].chars().count()).max().unwrap_or_default()
        });
        for (n, row) in rows().enumerate() {
            for (text, width) in row.iter().zip(widths) {
                write!(f, "| {text:width$} ")?;
            }
            writeln!(f, "|")?;
            if n == 0 {
                widths.iter().try_for_each(|width| write!(f, "|{}", "-".repeat(width + 2)))?;
                writeln!(f, "|")?;
            }
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}\n"))
    }
}
