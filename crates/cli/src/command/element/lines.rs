//! Elements as JSON lines. A line is never more than what the server takes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use serde_json::{Map, Value};

use super::import::{Place, Sink};
use crate::failure::Failure;

/// The longest line: an element with its results.
const LINE_MAX: u64 = 8 << 20;

/// Reads a file, or standard input for `-`, to its end.
pub(super) fn read(from: &Path, sink: &mut Sink) -> Result<(), Failure> {
    if from == Path::new("-") {
        return each_line(io::stdin().lock(), sink);
    }
    let file = File::open(from)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", from.display())))?;
    each_line(BufReader::with_capacity(1 << 20, file), sink)
}

fn each_line(mut input: impl BufRead, sink: &mut Sink) -> Result<(), Failure> {
    let (mut line, mut number, mut read) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let got = input.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut line).map_err(|error| {
            Failure::new(format!("the file cannot be read behind line {number}: {error}"))
        })?;
        if got == 0 {
            return Ok(());
        }
        number += 1;
        read += got as u64;
        if got as u64 > LINE_MAX {
            return Err(Failure::new(format!(
                "line {number} is longer than {LINE_MAX} bytes: an element is not that large"
            ))
            .hint("is it a file of JSON lines, with one element in each?"));
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let element: Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| wrong(number, &error))?;
        sink.take(element, Place::Line(number), (number, text), read)?;
    }
}

fn wrong(number: u64, error: &serde_json::Error) -> Failure {
    Failure::new(format!("line {number} is no JSON object: {error}")).hint(
        "a line is one element such as {\"type\": \"page\", \"name\": \"p1\"}; what comes before is there, or on its way",
    )
}
