//! Cuts the text of a log into what may be shown while a progress bar is below it: whole lines.

/// A line that is longer than this is shown in pieces: some programs never end theirs.
const HELD_MAX: usize = 4096;

/// What of the last line was held back.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: String,
}

impl Lines {
    /// Takes the next text; answers what may be shown now: nothing, or text that ends a line.
    pub(super) fn take(&mut self, text: &str) -> String {
        self.held.push_str(text);
        match self.held.rfind('\n') {
            Some(end) => {
                let rest = self.held.split_off(end + 1);
                std::mem::replace(&mut self.held, rest)
            }
            None if self.held.len() > HELD_MAX => self.rest(),
            None => String::new(),
        }
    }

    /// What was held back, as a line.
    pub(super) fn rest(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.held);
        if !rest.is_empty() {
            rest.push('\n');
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_shown_and_nothing_is_lost() {
        let mut lines = Lines::default();
        assert_eq!(lines.take("a"), "");
        assert_eq!(lines.take("b\nc\nd"), "ab\nc\n");
        assert_eq!(lines.rest(), "d\n");
        assert_eq!(lines.rest(), "");
        assert_eq!(lines.take(&"x".repeat(5000)).len(), 5001);
    }
}
