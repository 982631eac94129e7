use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    Pattern::parse(pattern).unwrap().matches(text)
}

#[test]
fn a_plain_pattern_is_equality_without_case() {
    assert!(matches("ResNet", "resnet"));
    assert!(!matches("resnet", "resnet50"));
    assert!(matches("", ""));
    assert!(!matches("", "a"));
    assert!(!matches("É", "é"), "only ASCII letters fold, as in SQLite");
}

#[test]
fn percent_is_any_run_and_underscore_is_one_character() {
    assert!(matches("%net%", "a resnet 50"));
    assert!(matches("v_.%", "v1.22"));
    assert!(matches("_", "é"));
    assert!(!matches("_", ""));
    assert!(matches("%%", ""));
    assert!(matches("%ab%ab", "abcabab"));
    assert!(!matches("a%b", "ab c"));
}

#[test]
fn a_backslash_makes_the_next_character_plain() {
    assert!(matches(r"100\%", "100%"));
    assert!(!matches(r"100\%", "1000"));
    assert!(matches(r"a\_b\\", r"a_b\"));
    assert!(matches(r"\A", "a"));
}

#[test]
fn a_bad_pattern_names_the_fix() {
    let error = Pattern::parse("abc\\").unwrap_err().to_string();
    assert!(error.contains("ends in a lone backslash") && error.contains(r"write `\\`"), "{error}");
    assert_eq!(Pattern::parse(&"x".repeat(501)), Err(Error::LongPattern(501)));
    assert_eq!(Pattern::parse("a\0"), Err(Error::Nul));
}

#[test]
fn a_hostile_pattern_ends_soon() {
    // An exponential matcher would not come back from this one.
    assert!(!matches(&"%a".repeat(200), &"a".repeat(20_000).replace('a', "ab").replace("ab", "b")));
    assert!(!matches(&format!("{}c", "%a".repeat(200)), &"a".repeat(20_000)));
}

#[test]
fn sort_takes_a_known_field_and_a_direction() {
    let parse = |text| Sort::parse(text, &["id", "created_at"]);
    assert_eq!(parse("id"), Ok(Sort { field: "id", descending: false }));
    assert_eq!(parse("created_at:desc"), Ok(Sort { field: "created_at", descending: true }));
    assert_eq!(parse("id:up"), Err(Error::Direction("up".into())));
    let error = parse("name:asc").unwrap_err().to_string();
    assert!(error.contains("`name`") && error.contains("id, created_at"), "{error}");
}

#[test]
fn a_list_is_split_before_it_is_decoded() {
    assert_eq!(split_list("a,b%2Cc"), Ok(vec!["a".into(), "b,c".into()]));
    assert_eq!(split_list("train/loss"), Ok(vec!["train/loss".into()]));
    assert_eq!(split_list("%25x%2Cy%25"), Ok(vec!["%x,y%".into()]));
    assert_eq!(split_list("a+b%20c"), Ok(vec!["a b c".into()]));
    assert_eq!(split_list(""), Ok(vec![String::new()]));
    assert_eq!(split_list("%c3%a9"), Ok(vec!["é".into()]));
}

#[test]
fn a_broken_escape_is_named() {
    assert_eq!(split_list("a%2"), Err(Error::Escape("a%2".into())));
    assert_eq!(split_list("a%zz"), Err(Error::Escape("a%zz".into())));
    assert_eq!(split_list("%ff"), Err(Error::Encoding("%ff".into())));
    assert_eq!(split_list("a%00"), Err(Error::Nul));
    assert_eq!(split_list(&",".repeat(1000)), Err(Error::ManyValues(1001)));
}

#[test]
fn the_size_of_an_epoch_tells_its_unit() {
    let expected = Ok(Millis(1_700_000_000_123));
    for text in
        ["1700000000.123", "1700000000123", "1700000000123.9", "1700000000123456", "1700000000123456789"]
    {
        assert_eq!(parse_time(text), expected, "{text}");
    }
    assert_eq!(parse_time("0"), Ok(Millis(0)));
    assert_eq!(parse_time("-1.5"), Ok(Millis(-1500)));
}

#[test]
fn rfc_3339_is_read_with_its_offset() {
    for (text, ms) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:30:45.5Z", 951_827_445_500),
        ("2026-01-31T12:00:00+02:00", 1_769_853_600_000),
        ("2026-01-31T12:00:00 02:00", 1_769_853_600_000),
        ("2026-01-31t10:00:00.0009-00:00", 1_769_853_600_000),
        ("1969-12-31T23:59:59Z", -1000),
    ] {
        assert_eq!(parse_time(text), Ok(Millis(ms)), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_an_example() {
    for text in [
        "",
        "-",
        "now",
        "1.",
        ".5",
        "1e9",
        "12345678901234567890",
        "2026-02-29T00:00:00Z",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T24:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+2:00",
        "2026-01-31T12:00:00ZZ",
        "٢٠٢٦-01-31T12:00:00Z",
    ] {
        let error = parse_time(text).unwrap_err().to_string();
        assert!(error.contains("such as 2026-01-31T12:00:00Z"), "{text}: {error}");
    }
}

/// The meaning of a pattern, by recursion.
fn matches_slowly(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| matches_slowly(rest, &text[skip..])),
        ['_', rest @ ..] => !text.is_empty() && matches_slowly(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && matches_slowly(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn a_pattern_matches_what_it_means(pattern in "[ab%_]{0,8}", text in "[ab]{0,10}") {
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(matches(&pattern, &text), matches_slowly(&p, &t));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".*") {
        let _ = Pattern::parse(&text).map(|pattern| pattern.matches(&text));
        let _ = Sort::parse(&text, &["id"]);
        let _ = parse_time(&text);
    }

    #[test]
    fn a_list_reads_back_what_was_encoded(values in proptest::collection::vec("[^\0]{0,12}", 1..8)) {
        let encode = |value: &String| value.bytes().fold(String::new(), |raw, byte| raw + &format!("%{byte:02X}"));
        let raw: Vec<String> = values.iter().map(encode).collect();
        prop_assert_eq!(split_list(&raw.join(",")), Ok(values));
    }

    #[test]
    fn every_second_of_the_calendar_reads_back(day in 1i64..=28, month in 1i64..=12, year in 0i64..=9999, s in 0i64..86_400) {
        let text = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60);
        let at = parse_time(&text).unwrap().0;
        prop_assert_eq!(at.rem_euclid(86_400_000), s * 1000);
        // The day before is one day earlier, also over the ends of months and years.
        if day > 1 {
            let before = parse_time(&text.replacen(&format!("-{day:02}T"), &format!("-{:02}T", day - 1), 1)).unwrap().0;
            prop_assert_eq!(at - before, 86_400_000);
        }
    }
}
