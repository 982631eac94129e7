//! `runyard element import`: reads elements one after the other and sends them in batches, so that a million of them never are
//! in memory. Every element has an id before it is sent: given, or made of where it stands and what it is. So any batch, and
//! any import, may be repeated.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use runyard_client::{Error, element::HowMade};
use runyard_domain::{ElementId, Millis};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{images, lines, table};
use crate::{
    address,
    args::element::Import as Args,
    context::Context,
    failure::Failure,
    output::{self, Format},
};

/// Elements of one request, and bytes of it.
const BATCH: usize = 5_000;
const BATCH_BYTES: usize = 8 << 20;
/// A server that is away or busy is asked again so often.
const TRIES: u32 = 6;
/// Wrong elements that are named.
const NAMED: usize = 20;

/// Elements on their way, in the order of the source.
pub(super) struct Batch {
    /// JSON lines.
    body: Vec<u8>,
    /// Where each of them stands, for people.
    places: Vec<Place>,
    /// How far the source is read.
    pub(super) read: u64,
}

/// Where an element comes from.
pub(super) enum Place {
    /// A line of a file, from 1.
    Line(u64),
    /// A row of a table, from 1.
    Row(u64),
    /// A file of its own.
    File(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What every element gets that says nothing else.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) of_type: Option<String>,
    pub(super) parent: Option<String>,
    corpus: String,
    /// When the corpus was made: the ids of its elements begin with it.
    born: Millis,
}

/// Takes elements, and sends them off in batches.
pub(super) struct Sink {
    pub(super) defaults: Defaults,
    batch: Batch,
    out: mpsc::Sender<Batch>,
}

impl Sink {
    /// Takes an element that stands at `place`. `number` and `content` make its id, where it has none. `read`: how far the
    /// source is read.
    pub(super) fn take(
        &mut self,
        mut element: Map<String, Value>,
        place: Place,
        (number, content): (u64, &[u8]),
        read: u64,
    ) -> Result<(), Failure> {
        if let Some(of_type) = self.defaults.of_type.as_ref().filter(|_| !element.contains_key("type")) {
            element.insert("type".into(), of_type.clone().into());
        }
        if let Some(parent) = self.defaults.parent.as_ref().filter(|_| !element.contains_key("parents")) {
            element.insert("parents".into(), vec![parent.clone()].into());
        }
        if element.get("id").is_none_or(Value::is_null) {
            let id = derived(&self.defaults.corpus, self.defaults.born, number, content);
            element.insert("id".into(), id.to_string().into());
        }
        serde_json::to_writer(&mut self.batch.body, &element)
            .map_err(|error| Failure::new(format!("{place}: {error}")))?;
        self.batch.body.push(b'\n');
        self.batch.places.push(place);
        self.batch.read = read;
        if self.batch.places.len() >= BATCH || self.batch.body.len() >= BATCH_BYTES {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Failure> {
        let empty = Batch { body: Vec::new(), places: Vec::new(), read: self.batch.read };
        let batch = std::mem::replace(&mut self.batch, empty);
        // Who takes no more says why.
        self.out.blocking_send(batch).map_err(|_| Failure::NobodyReads)
    }
}

/// An id that the same element at the same place always gets, and no other: it begins with the corpus's time, so that elements
/// are in the order of the file; then comes the number of the line, then a digest of what the line says.
fn derived(corpus: &str, born: Millis, number: u64, content: &[u8]) -> ElementId {
    let mut hash = Sha256::new();
    hash.update(corpus.as_bytes());
    hash.update([0]);
    hash.update(content);
    let digest = hash.finalize();
    let mut random = [0; 10];
    // Version and variant take the upper bits of bytes 0 and 2: what is left of these holds 34 bits of the number.
    random[0] = (number >> 30 & 0xf) as u8;
    random[1] = (number >> 22) as u8;
    random[2] = (number >> 16 & 0x3f) as u8;
    random[3] = (number >> 8) as u8;
    random[4] = number as u8;
    random[5..].copy_from_slice(&digest[..5]);
    ElementId::new(born, random)
}

/// What `--output json` says.
#[derive(Serialize)]
struct Imported<'a> {
    corpus_id: &'a str,
    elements: u64,
    created: i64,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if context.out.format == Format::Csv {
        return Err(output::no_csv());
    }
    check(&args.from)?;
    let corpus = address::corpus::corpus(context, &args.corpus).await?;
    let defaults = Defaults {
        of_type: args.of_type,
        parent: args.parent,
        corpus: corpus.id.clone(),
        born: Millis(corpus.created_at),
    };
    let how = HowMade { corpus_id: corpus.id.clone(), create_types: true, ..HowMade::default() };
    let (out, mut batches) = mpsc::channel(2);
    let (from, bar) = (args.from.clone(), bar(context, &args.from));
    let reading = tokio::task::spawn_blocking(move || read(&from, defaults, out));
    let (mut elements, mut created) = (0, 0);
    while let Some(batch) = batches.recv().await {
        let made = post(context, &how, &batch).await.inspect_err(|_| bar.finish_and_clear())?;
        elements += batch.places.len() as u64;
        created += made;
        bar.set_position(batch.read);
        bar.set_message(format!("{elements} elements"));
    }
    bar.finish_and_clear();
    reading.await.map_err(|error| Failure::new(format!("the source cannot be read: {error}")))??;
    match context.out.format {
        Format::Json => output::json(&Imported { corpus_id: &corpus.id, elements, created }),
        Format::Quiet => output::line(created),
        Format::Table | Format::Csv => {
            let there = elements.cast_signed() - created;
            let there = if there > 0 { format!(", {there} were there already") } else { String::new() };
            output::note(format!("{}: {created} elements imported{there}", corpus.name));
            Ok(())
        }
    }
}

/// Says what cannot be imported before anything is asked.
fn check(from: &Path) -> Result<(), Failure> {
    if from == Path::new("-") {
        return Ok(());
    }
    std::fs::metadata(from).map(drop).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", from.display()))
            .hint("name a file of JSON lines, a Parquet file, a folder of images, or `-` for standard input")
    })
}

fn read(from: &Path, defaults: Defaults, out: mpsc::Sender<Batch>) -> Result<(), Failure> {
    let batch = Batch { body: Vec::new(), places: Vec::new(), read: 0 };
    let mut sink = Sink { defaults, batch, out };
    let parquet = from.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
    match () {
        () if from.is_dir() => images::read(from, &mut sink)?,
        () if parquet => table::read(from, &mut sink)?,
        () => lines::read(from, &mut sink)?,
    }
    if sink.batch.places.is_empty() { Ok(()) } else { sink.send() }
}

/// Sends one batch; answers how many of its elements are new.
async fn post(context: &Context, how: &HowMade, batch: &Batch) -> Result<i64, Failure> {
    let body = Bytes::from(batch.body.clone());
    let mut pause = Duration::from_millis(200);
    for _ in 1..TRIES {
        match context.client_now().create_elements_of_lines(how, body.clone()).await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answer => return answer.map(|made| made.created).map_err(|error| explain(error, &batch.places)),
        }
    }
    let answer = context.client_now().create_elements_of_lines(how, body).await;
    answer.map(|made| made.created).map_err(|error| explain(error, &batch.places))
}

/// `elements.12.name` of a request is `name` of a line of the file.
fn explain(error: Error, places: &[Place]) -> Failure {
    let hint = "what comes before is there; mend this and give the same command again: nothing is made twice";
    let Error::Api { body, .. } = &error else { return Failure::from(error).hint(hint) };
    let Some(errors) = body.errors.as_ref().filter(|errors| !errors.is_empty()) else {
        return Failure::from(error).hint(hint);
    };
    let mut wrong: Vec<(usize, String)> = Vec::new();
    for (path, messages) in errors {
        let (index, field) = split(path);
        let place = index.and_then(|index| places.get(index));
        for message in messages {
            wrong.push(match place {
                Some(place) => {
                    (index.unwrap_or(usize::MAX), format!("{place}: {field} {}", spell(message, places)))
                }
                None => (usize::MAX, format!("{path} {}", spell(message, places))),
            });
        }
    }
    wrong.sort();
    let mut text = String::from("not all elements can be imported");
    for (_, line) in wrong.iter().take(NAMED) {
        text.push_str("\n  ");
        text.push_str(line);
    }
    if wrong.len() > NAMED {
        text.push_str("\n  and more");
    }
    Failure::new(text).hint(hint)
}

/// Index and field of `elements.12.name`.
fn split(path: &str) -> (Option<usize>, &str) {
    let Some(rest) = path.strip_prefix("elements.") else { return (None, path) };
    let (index, field) = rest.split_once('.').unwrap_or((rest, ""));
    (index.parse().ok(), field)
}

/// A message may name another element of the request by its index.
fn spell(message: &str, places: &[Place]) -> String {
    let Some((before, rest)) = message.split_once("of element ") else { return message.to_owned() };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    match rest[..digits].parse::<usize>().ok().and_then(|index| places.get(index)) {
        Some(place) => format!("{before}of {place}{}", &rest[digits..]),
        None => message.to_owned(),
    }
}

/// A bar of bytes read, or of nothing where the length is not known.
fn bar(context: &Context, from: &Path) -> ProgressBar {
    if context.out.format != Format::Table {
        return ProgressBar::hidden();
    }
    let length = std::fs::metadata(from).ok().filter(std::fs::Metadata::is_file).map(|found| found.len());
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{msg}  {bytes}/{total_bytes} {wide_bar} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_lines_and_depend_on_what_they_say() {
        let id = |number, content: &str| derived("c", Millis(1_700_000_000_000), number, content.as_bytes());
        assert_eq!(id(7, "a"), id(7, "a"));
        assert_ne!(id(7, "a"), id(7, "b"));
        assert_ne!(id(7, "a"), derived("d", Millis(1_700_000_000_000), 7, b"a"));
        let numbers = [0, 1, 255, 256, 65_535, 65_536, 1 << 22, 1 << 30, (1 << 34) - 1];
        let ids: Vec<ElementId> = numbers.map(|number| id(number, "x")).into();
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(ids[0].time(), Millis(1_700_000_000_000));
    }

    #[test]
    fn an_error_names_the_line() {
        assert_eq!(split("elements.12.image.url"), (Some(12), "image.url"));
        assert_eq!(split("elements"), (None, "elements"));
        let places = [Place::Line(41), Place::Line(42)];
        assert_eq!(
            spell("`x` is the id of element 0 of this request too", &places),
            "`x` is the id of line 41 of this request too"
        );
        assert_eq!(spell("is empty", &places), "is empty");
    }
}
