use proptest::prelude::*;

use super::*;

fn any_retention() -> impl Strategy<Value = Retention> {
    let best = (prop_oneof![Just(Mode::Min), Just(Mode::Max)], 1i64..4).prop_map(|(mode, count)| KeepBest {
        tag: "loss".into(),
        mode,
        count,
    });
    (proptest::option::of(1i64..5), proptest::option::of(best), proptest::option::of(1i64..7))
        .prop_map(|(keep_last, keep_best, keep_every)| Retention { keep_last, keep_best, keep_every })
}

/// A run's checkpoints, newest first; ids are their places.
fn any_checkpoints() -> impl Strategy<Value = Vec<Candidate<usize>>> {
    let value = prop_oneof![
        2 => Just(None),
        6 => (-3i64..4).prop_map(|value| Some(value as f64)),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).prop_map(Some),
    ];
    prop::collection::vec((-20i64..20, value), 0..25).prop_map(|all| {
        let with_id = |(id, (global_step, value))| Candidate { id, global_step, value };
        all.into_iter().enumerate().map(with_id).collect()
    })
}

fn without(all: &[Candidate<usize>], gone: &[usize]) -> Vec<Candidate<usize>> {
    all.iter().filter(|candidate| !gone.contains(&candidate.id)).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_newest_always_stays_and_each_rule_keeps_what_it_names(
        retention in any_retention(),
        all in any_checkpoints(),
    ) {
        let gone = retention.surplus(&all);
        prop_assert!(!gone.contains(&0));
        for (at, candidate) in all.iter().enumerate() {
            let last = retention.keep_last.is_some_and(|last| (at as i64) < last);
            let every = retention.keep_every.is_some_and(|every| candidate.global_step % every == 0);
            let best = retention.keep_best.as_ref().is_some_and(|best| {
                let better = |other: &&Candidate<usize>| match (other.value, candidate.value, best.mode) {
                    (Some(other), Some(own), Mode::Min) => other < own,
                    (Some(other), Some(own), Mode::Max) => other > own,
                    _ => false,
                };
                let as_good = |other: &&Candidate<usize>| other.id > candidate.id && other.value == candidate.value;
                let is_number = candidate.value.is_some_and(|value| !value.is_nan());
                let ahead = all.iter().filter(|other| better(other) || as_good(other)).count();
                is_number && (ahead as i64) < best.count
            });
            let wanted = at == 0 || last || every || best || retention == Retention::default();
            prop_assert_eq!(!gone.contains(&at), wanted, "checkpoint {} of {:?} under {:?}", at, all, retention);
        }
    }

    #[test]
    fn a_second_look_finds_nothing_more(retention in any_retention(), all in any_checkpoints()) {
        let left = without(&all, &retention.surplus(&all));
        prop_assert_eq!(retention.surplus(&left), Vec::<usize>::new());
    }

    #[test]
    fn deleting_as_checkpoints_come_keeps_what_deleting_at_the_end_would(
        retention in any_retention(),
        all in any_checkpoints(),
    ) {
        let mut left: Vec<Candidate<usize>> = Vec::new();
        for candidate in all.iter().rev() {
            left.insert(0, candidate.clone());
            left = without(&left, &retention.surplus(&left));
        }
        let ids = |list: &[Candidate<usize>]| list.iter().map(|candidate| candidate.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&left), ids(&without(&all, &retention.surplus(&all))));
    }

    #[test]
    fn parts_cover_a_file_without_gap_and_none_is_too_many_or_too_small(size in 0i64..=MAX_FILE_BYTES) {
        let parts: Vec<_> = parts(size).collect();
        prop_assert_eq!(parts.is_empty(), size <= WHOLE_BYTES);
        prop_assert!(parts.len() as i64 <= MAX_PARTS);
        let mut next = 0;
        for (at, (offset, length)) in parts.iter().enumerate() {
            prop_assert_eq!(*offset, next);
            prop_assert!(*length >= PART_BYTES || (at + 1 == parts.len() && *length > 0));
            next += length;
        }
        prop_assert!(parts.is_empty() || next == size);
    }
}

#[test]
fn no_rule_keeps_all() {
    let all: Vec<_> = (0..5).map(|id| Candidate { id, global_step: 0, value: None }).collect();
    assert_eq!(Retention::default().surplus(&all), Vec::<i32>::new());
}

#[test]
fn rules_that_keep_nothing_are_refused_by_their_paths() {
    let best = KeepBest { tag: String::new(), mode: Mode::Min, count: 0 };
    let retention = Retention { keep_last: Some(0), keep_best: Some(best), keep_every: Some(-1) };
    let mut errors = FieldErrors::default();
    retention.check("spec.checkpoints", &mut errors);
    let named: Vec<&str> = errors.0.keys().map(String::as_str).collect();
    let wanted = ["keep_best.count", "keep_best.tag", "keep_every", "keep_last"];
    assert_eq!(named, wanted.map(|name| format!("spec.checkpoints.{name}")));
}

#[test]
fn ordinary_paths_of_files_pass() {
    for path in ["model.pt", "a/b/c.bin", "weights #1.bin", "…/ü", ".hidden", "a..b", "back\\slash"] {
        check_path(path).unwrap();
    }
}

#[test]
fn paths_that_lead_out_of_the_folder_are_refused_by_name() {
    let long = "x/".repeat(400) + "x";
    let part = "x".repeat(256);
    for path in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "a\0",
        "a\nb",
        &long,
        &part,
    ] {
        let error = check_path(path).unwrap_err().to_string();
        assert!(error.contains("cannot be the path of a file"), "{error}");
    }
}

#[test]
fn the_folders_above_a_file_are_named_from_the_top() {
    assert_eq!(folders_above("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
    assert_eq!(folders_above("a").count(), 0);
}
