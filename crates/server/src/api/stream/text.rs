//! Cuts bytes where characters end.

/// The part of `bytes` that ends with a whole character; what may still become one is left for later. Bytes that can
/// never be UTF-8 stay in.
pub(super) fn whole_characters(bytes: &[u8]) -> &[u8] {
    // A character has at most four bytes: only the last three can be the beginning of one that is cut.
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let length = match bytes[at] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let is_open = std::str::from_utf8(&bytes[at..]).is_err_and(|error| error.error_len().is_none());
        return if length > back && is_open { &bytes[..at] } else { bytes };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_left_for_later() {
        let text = "aä€😀";
        let mut rest = text.as_bytes();
        let mut read = String::new();
        // One byte more at a time, as a slow program writes.
        let mut held = Vec::new();
        while let [first, after @ ..] = rest {
            held.push(*first);
            rest = after;
            let whole = whole_characters(&held).to_vec();
            read.push_str(std::str::from_utf8(&whole).unwrap());
            held.drain(..whole.len());
        }
        assert_eq!((read.as_str(), held.len()), (text, 0));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hold_up_what_follows() {
        for bytes in
            [&b"\xff"[..], b"a\x80", b"\x80\x80\x80\x80", b"\xc0", b"a\xe2\x28", b"\xf5\x80\x80", b"\xed\xa0"]
        {
            assert_eq!(whole_characters(bytes), bytes, "{bytes:?}");
        }
        assert_eq!(whole_characters(b""), b"");
    }
}
