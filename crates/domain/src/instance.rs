//! The instances of a job: processes of one program that start together or not at all, and how their lines are told apart in
//! the one output. Pure; starts nothing.

/// Most instances of a run.
pub const MAX: i64 = 64;

/// What stands before every line of the instance `rank`.
pub fn prefix(rank: i64) -> String {
    format!("[{rank}] ")
}

/// The lines of one instance among all lines of an output, without what stands before them.
#[derive(Debug, Clone)]
pub struct Lines {
    prefix: Vec<u8>,
    at: At,
}

/// Where in a line the last piece ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// So many bytes of the prefix have been seen.
    Prefix(usize),
    /// Behind the prefix, in a line of the instance.
    Own,
    /// In a line of somebody else.
    Other,
}

impl Lines {
    /// The lines of the instance `rank`, from the start of a line on.
    pub fn of(rank: i64) -> Self {
        Self { prefix: prefix(rank).into_bytes(), at: At::Prefix(0) }
    }

    /// What is read next begins inside of a line, whose rest belongs to nobody.
    pub fn begin_inside(&mut self) {
        self.at = At::Other;
    }

    /// What is read next begins a line.
    pub fn begin_line(&mut self) {
        self.at = At::Prefix(0);
    }

    /// The part of `piece` that the instance printed. A piece ends where its line ends, or before.
    pub fn pass<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut rest = piece;
        if let At::Prefix(seen) = self.at {
            let wanted = &self.prefix[seen..];
            let count = wanted.len().min(rest.len());
            if rest[..count] == wanted[..count] {
                rest = &rest[count..];
                let seen = seen + count;
                self.at = if seen == self.prefix.len() { At::Own } else { At::Prefix(seen) };
            } else {
                self.at = At::Other;
            }
        }
        let own = if self.at == At::Own { rest } else { &[] };
        if piece.ends_with(b"\n") {
            self.at = At::Prefix(0);
        }
        own
    }

    /// Whether what was read last was a line, or the beginning of one, of the instance.
    pub fn is_inside_own(&self) -> bool {
        self.at == At::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(rank: i64, text: &str, part: usize) -> String {
        let mut lines = Lines::of(rank);
        let mut own = Vec::new();
        for bytes in text.as_bytes().chunks(part) {
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                own.extend_from_slice(lines.pass(piece));
            }
        }
        String::from_utf8(own).unwrap()
    }

    #[test]
    fn each_instance_gets_its_lines_as_it_printed_them_wherever_the_parts_are_cut() {
        let text = "[runyard] installing\n[0] a\n[1] [0] b\n[10] c\n[1] \n[0] \n[0] d [1] e\n[1] last";
        for part in 1..=text.len() {
            assert_eq!(own(0, text, part), "a\n\nd [1] e\n", "{part}");
            assert_eq!(own(1, text, part), "[0] b\n\nlast", "{part}");
            assert_eq!(own(10, text, part), "c\n", "{part}");
            assert_eq!(own(2, text, part), "", "{part}");
        }
    }

    #[test]
    fn the_rest_of_a_line_whose_beginning_was_not_seen_belongs_to_nobody() {
        let mut lines = Lines::of(0);
        lines.begin_inside();
        assert_eq!(lines.pass(b"[0] a\n"), b"");
        assert_eq!(lines.pass(b"[0] b\n"), b"b\n");
    }
}
