//! Takes the values of secrets out of what programs print, whatever the pieces are in which it arrives. Finds them as they
//! are: what a program has encoded, cut or turned around is not found.

use std::{borrow::Cow, sync::Arc};

use runyard_domain::secret::SecretEnv;

/// What stands in the place of a value.
const MASK: &[u8] = b"***";

/// What must not be seen.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    /// Longest first.
    values: Vec<Vec<u8>>,
}

impl Masks {
    /// Of a job's secrets.
    pub(crate) fn of(secrets: &SecretEnv) -> Self {
        Self { values: secrets.masked().into_iter().map(String::into_bytes).collect() }
    }

    /// A whole text without them.
    pub(crate) fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.values.is_empty() {
            return text.into();
        }
        let (mut clean, held) = self.scan(text.as_bytes());
        clean.extend_from_slice(held);
        String::from_utf8_lossy(&clean).into_owned().into()
    }

    /// What may be shown, and the end that may be the beginning of a value.
    fn scan<'a>(&self, bytes: &'a [u8]) -> (Vec<u8>, &'a [u8]) {
        let mut begins = [false; 256];
        self.values.iter().for_each(|value| begins[usize::from(value[0])] = true);
        let mut shown = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if begins[usize::from(first)] {
                // The longest comes first: where it may still follow, a shorter one that is there already has to wait.
                match self.values.iter().find(|value| rest.starts_with(value) || value.starts_with(rest)) {
                    Some(value) if value.len() <= rest.len() => {
                        shown.extend_from_slice(MASK);
                        rest = &rest[value.len()..];
                        continue;
                    }
                    Some(_) => break,
                    None => {}
                }
            }
            shown.push(first);
            rest = &rest[1..];
        }
        (shown, rest)
    }
}

/// One program's output on its way.
#[derive(Debug)]
pub(crate) struct Masking {
    masks: Arc<Masks>,
    /// The beginning of a value, perhaps.
    held: Vec<u8>,
}

impl Masking {
    pub(crate) fn new(masks: Arc<Masks>) -> Self {
        Self { masks, held: Vec::new() }
    }

    /// What may be shown now.
    pub(crate) fn pass<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.masks.values.is_empty() {
            return bytes.into();
        }
        self.held.extend_from_slice(bytes);
        let (shown, rest) = self.masks.scan(&self.held);
        self.held = rest.to_vec();
        shown.into()
    }

    /// What is left when nothing more comes.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        // The beginning of a value is no value; but what could be seen of it by a shorter one in it is not shown.
        let mut left = std::mem::take(&mut self.held);
        let mut shown = Vec::new();
        while !left.is_empty() {
            let whole = self.masks.values.iter().find(|value| left.starts_with(value));
            let (part, taken) = whole.map_or((&left[..1], 1), |value| (MASK, value.len()));
            shown.extend_from_slice(part);
            left.drain(..taken);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn masks(values: &[&str]) -> Arc<Masks> {
        let named = values.iter().enumerate().map(|(n, value)| (format!("V{n}"), (*value).to_owned()));
        Arc::new(Masks::of(&SecretEnv(named.collect::<BTreeMap<_, _>>())))
    }

    /// What is shown of `text` when it arrives in pieces of this many bytes.
    fn shown(values: &[&str], text: &str, piece: usize) -> String {
        let mut masking = Masking::new(masks(values));
        let mut shown = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            shown.extend_from_slice(&masking.pass(piece));
        }
        shown.extend(masking.end());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_value_is_not_shown_however_it_is_cut() {
        let text = "a hunter2-token b hunter2-tokenhunter2-token hunter2-tok";
        for piece in 1..=text.len() {
            assert_eq!(shown(&["hunter2-token"], text, piece), "a *** b ****** hunter2-tok", "{piece}");
        }
    }

    #[test]
    fn of_two_values_that_begin_alike_the_longer_one_is_taken_where_it_is() {
        let values = ["secret-one", "secret-one-and-two"];
        for piece in 1..30 {
            assert_eq!(shown(&values, "secret-one secret-one-and-two.", piece), "*** ***.");
            assert_eq!(shown(&values, "secret-one-and", piece), "***-and");
        }
    }

    #[test]
    fn each_line_of_a_long_value_is_a_value() {
        let key = "-----BEGIN KEY-----\nMIIabcdefgh\n-----END KEY-----\n";
        assert_eq!(shown(&[key], &format!("key:\n{key}"), 7), "key:\n***\n");
        assert_eq!(shown(&[key], "line MIIabcdefgh", 3), "line ***");
    }

    #[test]
    fn without_secrets_nothing_is_copied_and_short_ones_are_left() {
        let mut masking = Masking::new(masks(&["short"]));
        assert!(matches!(masking.pass(b"short"), Cow::Borrowed(b"short")));
        assert_eq!(masks(&["hunter2-token"]).clean("pip: hunter2-token, hunter2-"), "pip: ***, hunter2-");
    }
}
