use serde_json::json;

use super::*;

fn wrong(check: impl Fn(&mut FieldErrors)) -> String {
    let mut errors = FieldErrors::default();
    check(&mut errors);
    errors.to_string()
}

#[test]
fn a_name_can_stand_before_and_behind_an_at_sign() {
    let check = |name: &str| wrong(|errors| check_name("name", name, errors));
    for good in ["digits", "v3", "ResNet-50 (v2)", "1.0.0-rc.1+build", "größe 模型", &"ü".repeat(200)] {
        assert_eq!(check(good), "", "{good}");
    }
    for (bad, words) in [
        ("", "1 to 200 characters, and has 0"),
        (&"ü".repeat(201), "and has 201"),
        ("a@b", "'@'"),
        ("a/b", "'/'"),
        ("a\nb", r"'\n'"),
        ("a\0", r"'\0'"),
        (" a", "begin or end with a space"),
        ("..", "addresses read as a folder"),
    ] {
        let said = check(bad);
        assert!(said.starts_with("name: ") && said.contains(words), "{bad:?}: {said}");
    }
}

#[test]
fn a_source_key_is_one_line_and_a_config_is_small() {
    assert_eq!(wrong(|errors| check_source_key("source_key", "job:12@/model", errors)), "");
    for bad in ["", "a\0", &"x".repeat(201)] {
        assert!(wrong(|errors| check_source_key("source_key", bad, errors)).contains("1 to 200 characters"));
    }
    let config = json!({"text": "x".repeat(MAX_CONFIG_BYTES)});
    let said = wrong(|errors| check_config("config", config.as_object().unwrap(), errors));
    assert!(said.contains("262155 bytes as JSON: at most 262144"), "{said}");
}

#[test]
fn a_version_of_semver_has_three_numbers() {
    for good in ["0.0.0", "1.0.0", "10.20.30-alpha.1+build.5"] {
        assert_eq!(wrong(|errors| check_semver("version", good, errors)), "", "{good}");
    }
    for bad in ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0 ", "one", "1.0.0-01"] {
        let said = wrong(|errors| check_semver("version", bad, errors));
        assert!(said.contains("SemVer 2.0.0") && said.contains("such as 1.0.0"), "{bad}: {said}");
    }
}

#[test]
fn an_archive_never_has_too_many_parts() {
    assert_eq!(part_size(0, 1), PART_BYTES);
    assert_eq!(part_size(1 << 30, 10_000), PART_BYTES);
    for (size, files) in [(150 << 30, 1), (156 << 30, 1_000_000), (MAX_BYTES, 1), (MAX_BYTES, MAX_ENTRIES)] {
        let part = part_size(size, files);
        assert!((size + size / 100 + files * 2_048) / part < MAX_PARTS, "{size}: parts of {part}");
        assert!(part <= 5 << 30, "S3 takes parts of up to 5 GiB: {part}");
    }
}

#[test]
fn a_reference_is_a_name_a_name_with_a_tag_or_an_id() {
    assert_eq!(Reference::parse("digits"), Ok(Reference::Newest("digits".into())));
    assert_eq!(Reference::parse("digits@v3"), Ok(Reference::Tagged("digits".into(), "v3".into())));
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(Reference::parse(id), Ok(Reference::Id(id.parse().unwrap())));
    for bad in ["", "@", "digits@", "@v3", "a@b@c", "a/b"] {
        let said = Reference::parse(bad).unwrap_err().to_string();
        assert!(said.contains("NAME@TAG") && said.contains("the "), "{said}");
    }
}

#[test]
fn states_read_back_from_their_words() {
    for state in State::ALL {
        assert_eq!(State::from_word(state.word()), Some(state));
    }
    assert_eq!(State::from_word("Available"), None);
}
