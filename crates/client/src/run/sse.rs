//! Server-sent events, as the HTML standard reads them (section 9.2.6): bytes in, cut anywhere; events out.

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its type; `message` when the server named none.
    pub(super) event: String,
    /// Its data lines, joined by newlines.
    pub(super) data: String,
    /// The last id that was seen.
    pub(super) id: Option<String>,
}

/// No event of ours is larger: a stream that goes on without one is not ours.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// What was read of an event that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    /// A carriage return was read: a newline right behind it belongs to it.
    after_return: bool,
    started: bool,
    event: String,
    data: Option<String>,
    id: Option<String>,
}

/// The stream holds an event that is too large.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Parser {
    /// Takes the next bytes and adds the events that they complete to `frames`.
    pub(super) fn feed(&mut self, bytes: &[u8], frames: &mut impl Extend<Frame>) -> Result<(), TooLarge> {
        for &byte in bytes {
            let newline_of_return = byte == b'\n' && std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if newline_of_return => {}
                b'\n' => frames.extend(self.end_of_line()),
                b'\r' => {
                    self.after_return = true;
                    frames.extend(self.end_of_line());
                }
                _ => {
                    self.after_return = false;
                    self.line.push(byte);
                }
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > MAX_EVENT_BYTES {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Option<Frame> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let line = if self.started { line.as_str() } else { line.trim_start_matches('\u{feff}') };
        self.started = true;
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let data = self.data.take()?;
            let event = if event.is_empty() { "message".to_owned() } else { event };
            return Some(Frame { event, data, id: self.id.clone() });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // Comments (keep-alives), `retry`, and what the standard may add.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Frame> {
        let mut parser = Parser::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            parser.feed(chunk, &mut frames).unwrap();
        }
        frames
    }

    fn frame(event: &str, data: &str, id: Option<&str>) -> Frame {
        Frame { event: event.into(), data: data.into(), id: id.map(Into::into) }
    }

    const STREAM: &str = ": hello\n\nevent: log\nid: 7\ndata: {\"text\":\"grün\"}\n\nevent:status\r\ndata: a\r\ndata: b\r\n\r\ndata\r\rid: 9\n\n";

    #[test]
    fn events_are_read_with_every_kind_of_line_end() {
        let expected = [
            frame("log", "{\"text\":\"grün\"}", Some("7")),
            frame("status", "a\nb", Some("7")),
            frame("message", "", Some("7")),
        ];
        assert_eq!(parse(&[STREAM.as_bytes()]), expected);
    }

    #[test]
    fn it_does_not_matter_where_the_network_cuts() {
        let whole = parse(&[STREAM.as_bytes()]);
        for cut in 0..=STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(cut);
            assert_eq!(parse(&[left, right]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(parse(&bytes), whole);
    }

    #[test]
    fn an_event_that_was_cut_off_is_no_event() {
        assert_eq!(parse(&[b"event: log\nid: 3\ndata: half"]), []);
        assert_eq!(parse(&[b"event: log\nid: 3\ndata: whole line\n"]), []);
    }

    #[test]
    fn a_stream_without_end_is_refused() {
        let mut parser = Parser::default();
        let megabyte = vec![b'x'; 1 << 20];
        let mut frames = Vec::new();
        let fed = (0..17).try_for_each(|_| parser.feed(&megabyte, &mut frames));
        assert_eq!(fed, Err(TooLarge));
    }
}
