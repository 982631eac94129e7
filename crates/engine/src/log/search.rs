//! Searches the output of a job line by line, a part at a time: memory and time of a call are bounded, whatever was
//! printed, and a search goes on where the one before ended.

use regex::bytes::{Regex, RegexBuilder};
use runyard_domain::{JobId, RunId, instance::Lines};
use runyard_store as store;

use super::{Which, find, instance};
use crate::{Actor, Engine, Error, Result, run::visible};

/// Bytes that are read at once.
const PART: i64 = 1 << 20;
/// Bytes that one call reads at most.
const READ_MAX: i64 = 64 << 20;
/// A line that is longer is searched in pieces of this size.
const LINE_MAX: usize = 64 << 10;
/// Memory of a compiled pattern.
const PATTERN_MAX: usize = 1 << 20;
/// Characters of the longest text that is searched for.
pub const MAX_TEXT: usize = 1_000;
/// Bytes of a line that an answer shows.
const SHOWN: usize = 2_000;
/// Bytes before the match, where the line is longer than that.
const BEFORE: usize = 200;

/// What to search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The text, or the regular expression.
    pub text: String,
    /// Whether it is a regular expression.
    pub regex: bool,
    /// Whether capital and small letters are the same.
    pub ignore_case: bool,
    /// From the line that starts here.
    pub offset: i64,
    /// How many lines at most.
    pub limit: usize,
    /// Only the lines of this instance, as it printed them.
    pub instance: Option<i64>,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Where the line starts.
    pub offset: i64,
    /// Its number, from 1.
    pub line: i64,
    /// The line, or of a long one the part around the match.
    pub text: String,
    /// Whether it is only a part.
    pub cut: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The job.
    pub job_id: JobId,
    /// Its epoch.
    pub epoch: i64,
    /// Lines that match, in order.
    pub matches: Vec<Match>,
    /// Where to go on.
    pub next_offset: i64,
    /// Whether everything was searched that there is so far.
    pub complete: bool,
}

/// Lines of a job's output that match. `None`: the run has no job yet.
///
/// # Errors
/// A text that is none, or a pattern that cannot be read, by the field `q`.
pub async fn search(
    engine: &Engine,
    actor: &Actor,
    run: RunId,
    which: Which,
    search: Search,
) -> Result<Option<Found>> {
    let mut scanner = Scanner::new(compile(&search)?, search.limit);
    let finding = actor.clone();
    let (wanted, wanted_instance) = (search.offset, search.instance);
    let begun = engine
        .db
        .read(move |tx| {
            let asked = visible(&finding, run, store::run::get(tx, run)?)?;
            let instance = instance::filter(&asked, wanted_instance)?;
            let Some(job) = find(tx, &finding, run, which)? else { return Ok(None) };
            let offset = wanted.clamp(0, job.lengths.logs);
            let line = store::log::line_of(tx, job.id, offset)?;
            Ok::<_, Error>(Some((job, offset, line, instance)))
        })
        .await?;
    let Some((job, offset, line, instance)) = begun else { return Ok(None) };
    scanner.lines = instance.map(Lines::of);
    let (id, total) = (job.id, job.lengths.logs);
    (scanner.line, scanner.start) = (line, offset);
    let mut at = offset;
    while at < total && !scanner.is_full() && at - offset < READ_MAX {
        let limit = PART.min(total - at);
        let (part, line) = engine
            .db
            .read(move |tx| {
                let part = store::log::read(tx, id, at, limit)?;
                let line = match part.dropped {
                    Some(_) => Some(store::log::line_of(tx, id, part.next)?),
                    None => None,
                };
                Ok::<_, Error>((part, line))
            })
            .await?;
        if part.bytes.is_empty() {
            break;
        }
        at = part.next;
        let fed = tokio::task::spawn_blocking(move || {
            match line {
                Some(line) => scanner.jump(part.next, line),
                None => scanner.feed(&part.bytes),
            }
            scanner
        });
        scanner = fed.await.map_err(|error| Error::Internal(format!("searching output: {error}")))?;
    }
    if at >= total {
        scanner.end();
    }
    let complete = at >= total && !scanner.is_full();
    let next_offset = if complete { total } else { scanner.start };
    Ok(Some(Found { job_id: id, epoch: job.epoch, matches: scanner.matches, next_offset, complete }))
}

fn compile(search: &Search) -> Result<Regex> {
    let length = search.text.chars().count();
    if length == 0 || length > MAX_TEXT {
        return Err(Error::field("q", format!("has {length} characters: search for 1 to {MAX_TEXT}")));
    }
    let pattern = if search.regex { search.text.clone() } else { regex::escape(&search.text) };
    RegexBuilder::new(&pattern)
        .case_insensitive(search.ignore_case)
        .size_limit(PATTERN_MAX)
        .dfa_size_limit(2 * PATTERN_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::field(
                "q",
                format!("is no regular expression: {why}; without `regex` it is searched for as it is"),
            )
        })
}

/// Cuts bytes into lines and keeps those that match.
struct Scanner {
    pattern: Regex,
    limit: usize,
    matches: Vec<Match>,
    /// Number of the line that is under way.
    line: i64,
    /// Where the line, or the piece of it, starts that is under way.
    start: i64,
    /// What of it has been read.
    held: Vec<u8>,
    /// Whether the line is known to match: the pieces that follow are not looked at.
    matched: bool,
    /// Whose lines alone are looked at.
    lines: Option<Lines>,
}

impl Scanner {
    fn new(pattern: Regex, limit: usize) -> Self {
        let (matches, held) = (Vec::new(), Vec::new());
        Self { pattern, limit, matches, line: 1, start: 0, held, matched: false, lines: None }
    }

    fn is_full(&self) -> bool {
        self.matches.len() >= self.limit
    }

    fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.is_full() {
                return;
            }
            if self.held.is_empty() && piece.ends_with(b"\n") && piece.len() <= LINE_MAX {
                self.take(&piece[..piece.len() - 1]);
                self.next_line(piece.len());
                continue;
            }
            for part in piece.chunks(LINE_MAX) {
                self.held.extend_from_slice(part);
                let ends = self.held.ends_with(b"\n");
                if !ends && self.held.len() < LINE_MAX {
                    continue;
                }
                let held = std::mem::take(&mut self.held);
                self.take(&held[..held.len() - usize::from(ends)]);
                if ends {
                    self.next_line(held.len());
                } else {
                    self.start += held.len() as i64;
                }
            }
        }
    }

    fn next_line(&mut self, length: usize) {
        self.start += length as i64;
        self.line += 1;
        self.matched = false;
        self.lines.iter_mut().for_each(Lines::begin_line);
    }

    /// What follows was dropped up to `offset`, which is in line `line`.
    fn jump(&mut self, offset: i64, line: i64) {
        self.end();
        if !self.is_full() {
            (self.start, self.line, self.matched) = (offset, line, false);
            self.lines.iter_mut().for_each(Lines::begin_line);
        }
    }

    /// The last line may not have ended.
    fn end(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() && !self.is_full() {
            self.take(&held);
            self.start += held.len() as i64;
        }
    }

    fn take(&mut self, line: &[u8]) {
        if self.matched {
            return;
        }
        let line = match &mut self.lines {
            None => line,
            Some(lines) => {
                let own = lines.pass(line);
                if !lines.is_inside_own() {
                    return;
                }
                own
            }
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(found) = self.pattern.find(line) else { return };
        self.matched = true;
        let from = if line.len() <= SHOWN { 0 } else { found.start().saturating_sub(BEFORE) };
        let shown = &line[from..line.len().min(from + SHOWN)];
        let text = String::from_utf8_lossy(shown).into_owned();
        let cut = shown.len() < line.len();
        self.matches.push(Match { offset: self.start, line: self.line, text, cut });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, regex: bool, ignore_case: bool) -> Search {
        Search { text: text.to_owned(), regex, ignore_case, offset: 0, limit: 100, instance: None }
    }

    fn scan(search: &Search, text: &[u8], part: usize) -> Vec<(i64, i64, String)> {
        let mut scanner = Scanner::new(compile(search).unwrap(), search.limit);
        text.chunks(part).for_each(|part| scanner.feed(part));
        scanner.end();
        scanner.matches.into_iter().map(|found| (found.offset, found.line, found.text)).collect()
    }

    #[test]
    fn lines_are_found_wherever_the_parts_are_cut() {
        let text = "epoch 1\nError: out of memory\n\nerror again\r\nlast error".as_bytes();
        for part in 1..=text.len() {
            let exact = scan(&of("error", false, false), text, part);
            assert_eq!(
                exact,
                [(30, 4, "error again".to_owned()), (43, 5, "last error".to_owned())],
                "{part}"
            );
            assert_eq!(scan(&of("ERROR", false, true), text, part).len(), 3);
            let regex = scan(&of(r"^error|\d+$", true, true), text, part);
            assert_eq!(regex.iter().map(|found| found.1).collect::<Vec<_>>(), [1, 2, 4]);
        }
    }

    #[test]
    fn a_text_with_signs_is_no_pattern_unless_it_is_said() {
        let text = b"a.b\naxb\n(\n";
        assert_eq!(scan(&of("a.b", false, false), text, 99).len(), 1);
        assert_eq!(scan(&of("a.b", true, false), text, 99).len(), 2);
        assert_eq!(scan(&of("(", false, false), text, 99).len(), 1);
    }

    #[test]
    fn a_wrong_pattern_is_said_in_a_sentence() {
        for (text, why) in
            [("(", "unclosed group"), ("a{1000}{1000}", "size limit"), ("[z-a]", "range"), ("", "1 to 1000")]
        {
            let Err(Error::Invalid { fields }) = compile(&of(text, true, false)) else { panic!("{text}") };
            assert!(fields.0["q"][0].contains(why), "{fields:?}");
        }
        assert!(compile(&of(&"x".repeat(1001), false, false)).is_err());
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_is_found_once() {
        let mut text = vec![b'x'; 1 << 20];
        text[700_000..700_006].copy_from_slice(b"needle");
        text[900_000..900_006].copy_from_slice(b"needle");
        text.extend(b"\nneedle\n");
        let found = scan(&of("needle", false, false), &text, 4096);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].1, found[1].0, found[1].1), (1, (1 << 20) + 1, 2));
        assert!(found[0].2.len() <= SHOWN && found[0].2.contains("needle"));
    }

    #[test]
    fn only_the_lines_of_one_instance_are_looked_at_and_shown_as_it_printed_them() {
        let text = b"[0] error a\n[1] error b\n[runyard] error\n[1] fine\n[1] ^error c\n";
        for part in 1..=text.len() {
            let mut scanner = Scanner::new(compile(&of("^\\^?error", true, false)).unwrap(), 9);
            scanner.lines = Some(Lines::of(1));
            text.chunks(part).for_each(|part| scanner.feed(part));
            scanner.end();
            let found: Vec<_> = scanner.matches.iter().map(|one| (one.line, one.text.as_str())).collect();
            assert_eq!(found, [(2, "error b"), (5, "^error c")], "{part}");
        }
    }

    #[test]
    fn what_was_dropped_is_jumped_over() {
        let mut scanner = Scanner::new(compile(&of("x", false, false)).unwrap(), 9);
        scanner.feed(b"x1\nx2");
        scanner.jump(1000, 50);
        scanner.feed(b"rest x\nx3\n");
        let found: Vec<_> = scanner.matches.iter().map(|found| (found.offset, found.line)).collect();
        assert_eq!(found, [(0, 1), (3, 2), (1000, 50), (1007, 51)]);
    }

    #[test]
    fn a_full_answer_goes_on_behind_its_last_line() {
        let mut scanner = Scanner::new(compile(&of("x", false, false)).unwrap(), 2);
        scanner.feed(b"x\ny\nx\nx\n");
        assert_eq!((scanner.matches.len(), scanner.start, scanner.line), (2, 6, 4));
    }
}
