//! Draws a series in the terminal: braille dots, four rows and two columns of them to a character.
//!
//! Only what is there is drawn: no line leads over a bucket without a number, and what cannot be drawn is said.

use std::fmt::Write as _;

use runyard_wire::metric::{Chart, Series};
use serde_json::Value;

use crate::show;

/// Characters of the labels at the left.
const LABEL: usize = 11;
/// Where the dots are that make up a character, by row and column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// How many buckets fill a drawing of `width` characters.
pub(crate) fn buckets(width: usize) -> i64 {
    (columns(width) * 2) as i64
}

fn columns(width: usize) -> usize {
    width.saturating_sub(LABEL + 2).max(10)
}

/// A series of `chart` with axes and a title, in `width` times about `height` characters.
pub(crate) fn draw(chart: &Chart, series: &Series, width: usize, height: usize, log: bool) -> String {
    let (columns, rows) = (columns(width), height.max(2));
    let scale = |value: &Option<f64>| {
        value.filter(|value| !log || *value > 0.0).map(|v| if log { v.log10() } else { v })
    };
    let below = if log { series.min.iter().flatten().filter(|value| **value <= 0.0).count() } else { 0 };
    let lasts: Vec<Option<f64>> = series.last.iter().map(Value::as_f64).collect();
    let values = || series.min.iter().chain(&series.max).chain(&lasts).filter_map(scale);
    let mut text = series.tag.clone();
    if log {
        text.push_str(" (log)");
    }
    text.push('\n');
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        let _ = writeln!(text, "{:LABEL$}  nothing that can be drawn", "");
    } else {
        let mut canvas = Canvas::new(columns, rows);
        let x = |x: i64| place(between(chart.from, chart.to, x), columns * 2);
        let y =
            |value: f64| place(if high > low { 1.0 - (value - low) / (high - low) } else { 0.5 }, rows * 4);
        let mut before = None;
        for (i, at) in series.x.iter().enumerate() {
            let column = x(*at);
            if let (Some(min), Some(max)) = (scale(&series.min[i]), scale(&series.max[i])) {
                canvas.line((column, y(min)), (column, y(max)));
            }
            let last = scale(&lasts[i]).map(|last| (column, y(last)));
            if let (Some(from), Some(to)) = (before, last) {
                canvas.line(from, to);
            }
            before = last;
        }
        let shown = |value: f64| show::number(&Value::from(if log { 10f64.powf(value) } else { value }));
        for (row, line) in canvas.lines().enumerate() {
            let label = match row {
                0 => shown(high),
                _ if row + 1 == rows => shown(low),
                _ if row == rows / 2 => shown(high - (high - low) * row as f64 / (rows - 1) as f64),
                _ => String::new(),
            };
            let _ = writeln!(text, "{label:>LABEL$} │{line}");
        }
        let (from, to) = (chart.from.unwrap_or(0).to_string(), chart.to.unwrap_or(0).to_string());
        let _ = writeln!(text, "{:LABEL$} └{}", "", "─".repeat(columns));
        let _ = writeln!(text, "{:LABEL$}  {from}{to:>1$}", "", columns.saturating_sub(from.len()));
    }
    if series.gaps > 0 {
        let _ = writeln!(text, "{:LABEL$}  {} of {} points: not drawn", "", gaps(series), series.points);
    }
    if below > 0 {
        let _ = writeln!(text, "{:LABEL$}  {below} values are not above 0: not drawn on a log scale", "");
    }
    text
}

/// `3 NaN, 1 Infinity`.
fn gaps(series: &Series) -> String {
    let kinds = [("NaN", &series.nan), ("Infinity", &series.infinity), ("-Infinity", &series.minus_infinity)];
    let counts = kinds.map(|(word, counts)| (word, counts.iter().sum::<i64>()));
    let said = counts.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}"));
    said.collect::<Vec<_>>().join(", ")
}

/// Where `x` lies, from 0 to 1.
fn between(from: Option<i64>, to: Option<i64>, x: i64) -> f64 {
    let (from, to) = (from.unwrap_or(x), to.unwrap_or(x));
    if to > from { (x as f64 - from as f64) / (to as f64 - from as f64) } else { 0.0 }
}

/// The dot at this part of `count` dots.
fn place(part: f64, count: usize) -> usize {
    ((part.clamp(0.0, 1.0) * (count - 1) as f64).round()) as usize
}

/// Dots, row by row of characters.
struct Canvas {
    columns: usize,
    cells: Vec<u32>,
}

impl Canvas {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, cells: vec![0; columns * rows] }
    }

    fn dot(&mut self, x: usize, y: usize) {
        if let Some(cell) = self.cells.get_mut(y / 4 * self.columns + x / 2) {
            *cell |= DOTS[y % 4][x % 2];
        }
    }

    /// Every dot on the way, so that a steep line has no holes.
    fn line(&mut self, (x0, y0): (usize, usize), (x1, y1): (usize, usize)) {
        let steps = x0.abs_diff(x1).max(y0.abs_diff(y1)).max(1);
        for step in 0..=steps {
            let on_way = |from: usize, to: usize| {
                (from as f64 + (to as f64 - from as f64) * step as f64 / steps as f64).round() as usize
            };
            self.dot(on_way(x0, x1), on_way(y0, y1));
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.cells.chunks(self.columns).map(|row| {
            let signs = row.iter().map(|dots| match dots {
                0 => ' ',
                dots => char::from_u32(0x2800 + dots).unwrap_or(' '),
            });
            signs.collect::<String>().trim_end().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[Option<f64>]) -> Chart {
        let series = Series {
            run_id: "r".into(),
            tag: "loss".into(),
            points: values.len() as i64,
            gaps: values.iter().filter(|value| value.is_none()).count() as i64,
            x: (0..values.len() as i64).collect(),
            min: values.to_vec(),
            max: values.to_vec(),
            last: values.iter().map(|value| value.map_or("NaN".into(), Value::from)).collect(),
            count: vec![1; values.len()],
            nan: values.iter().map(|value| i64::from(value.is_none())).collect(),
            infinity: Vec::new(),
            minus_infinity: Vec::new(),
        };
        let to = Some(values.len() as i64 - 1);
        Chart { x: "step".into(), from: Some(0), to, width: Some(1), series: vec![series] }
    }

    fn drawn(values: &[Option<f64>], width: usize, height: usize, log: bool) -> String {
        let chart = chart(values);
        draw(&chart, &chart.series[0], width, height, log)
    }

    #[test]
    fn a_falling_line_falls_from_corner_to_corner() {
        let values: Vec<_> = (0..20).map(|i| Some(f64::from(19 - i))).collect();
        let text = drawn(&values, 23, 5, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "loss");
        assert_eq!(lines[1], "         19 │⠑⢄");
        assert_eq!(lines[3], "        9.5 │    ⠑⢄");
        assert_eq!(lines[5], "          0 │        ⠑⢄");
        assert_eq!(lines[6], "            └──────────");
        assert_eq!(lines[7], "             0       19");
        assert_eq!(lines.len(), 8);
    }

    #[test]
    fn a_gap_is_said_and_not_drawn_over() {
        let mut values = vec![Some(1.0); 20];
        values[8..12].fill(None);
        let text = drawn(&values, 23, 3, false);
        assert!(text.contains("4 NaN of 20 points: not drawn"), "{text}");
        let row = text.lines().nth(2).unwrap();
        assert!(row.contains("⠤⠤⠤⠤  ⠤⠤⠤⠤") || row.contains("⠒⠒⠒⠒  ⠒⠒⠒⠒"), "{row}");
    }

    #[test]
    fn a_log_scale_leaves_out_what_has_no_logarithm() {
        let text = drawn(&[Some(1000.0), Some(10.0), Some(0.0), Some(0.1)], 40, 5, true);
        assert!(text.starts_with("loss (log)\n"), "{text}");
        assert!(text.contains("       1000 │") && text.contains("        0.1 │"), "{text}");
        assert!(text.contains("1 values are not above 0"), "{text}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(drawn(&[None, None], 40, 5, false).contains("nothing that can be drawn"));
        assert!(drawn(&[Some(3.0)], 40, 5, false).contains('│'));
        assert!(drawn(&[Some(f64::MAX), Some(f64::MIN_POSITIVE)], 5, 1, true).contains('│'));
    }
}
