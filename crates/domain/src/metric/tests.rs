use proptest::prelude::*;

use super::{
    pack::{self, pack, pack_integers, unpack, unpack_integers},
    *,
};

/// Uniform in 0..1 with random mantissas; the same on every run.
fn noise(seed: &mut u64) -> f64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as f64 / (1u64 << 53) as f64
}

fn loss_curve(count: i64, value: impl Fn(f64) -> Value) -> Vec<Point> {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut at = 1_790_000_000_000;
    (0..count)
        .map(|step| {
            at += 45 + (noise(&mut seed) * 10.0) as i64 + if step % 500 == 499 { 4_000 } else { 0 };
            let loss = 0.1 + 2.2 * (-step as f64 / 3000.0).exp();
            Point { step, at: Millis(at), value: value(loss * (0.9 + 0.2 * noise(&mut seed))) }
        })
        .collect()
}

fn bytes_per_point(points: &[Point]) -> f64 {
    let mut bytes = 0;
    for chunk in points.chunks(512) {
        let packed = pack(chunk);
        assert_eq!(unpack(&packed).as_deref(), Ok(chunk));
        bytes += packed.len();
    }
    bytes as f64 / points.len() as f64
}

#[test]
fn a_loss_curve_of_random_mantissas_takes_less_than_8_bytes_a_point() {
    let size = bytes_per_point(&loss_curve(10_000, Value::Float));
    assert!(size < 7.2, "{size}");
}

#[test]
fn values_that_came_from_f32_take_half() {
    let size = bytes_per_point(&loss_curve(10_000, |loss| Value::Float(f64::from(loss as f32))));
    assert!(size < 3.6, "{size}");
}

#[test]
fn counters_and_schedules_take_next_to_nothing() {
    let size = bytes_per_point(&loss_curve(10_000, |loss| Value::Int((loss * 1000.0) as i64)));
    assert!(size < 2.0, "{size}");
    let constant: Vec<_> = (0..10_000)
        .map(|i| Point { step: i * 10, at: Millis(i * 100), value: Value::Float(0.001) })
        .collect();
    let size = bytes_per_point(&constant);
    assert!(size < 0.2, "{size}");
}

#[test]
fn one_strange_value_does_not_make_its_neighbours_dear() {
    let mut points = loss_curve(512, |loss| Value::Float(f64::from(loss as f32)));
    for (i, value) in [(7, -0.0), (100, f64::NEG_INFINITY), (200, -f64::NAN), (300, f64::NAN)] {
        points[i].value = Value::Float(value);
    }
    points[400].at = Millis(0);
    let size = bytes_per_point(&points);
    assert!(size < 4.0, "{size}");
}

#[test]
fn a_chart_reads_the_same_points_from_fewer_columns() {
    let mut points = loss_curve(500, Value::Float);
    for (i, value) in [(7, Value::Int(3)), (8, Value::Int(-4)), (100, Value::Float(f64::NAN))] {
        points[i].value = value;
    }
    (points[20].step, points[30].at) = (i64::MIN, Millis(i64::MAX));
    for axis in [series::Axis::Step, series::Axis::Time] {
        for count in [0, 1, 127, 128, 129, 500] {
            let packed = pack(&points[..count]);
            let mut read = Vec::new();
            pack::unpack_along(&packed, axis, |x, value| read.push((x, value.to_bits()))).unwrap();
            let expected: Vec<_> = points[..count]
                .iter()
                .map(|point| (axis.of(point), point.value.as_f64().to_bits()))
                .collect();
            assert_eq!(read, expected);
            for end in 0..packed.len() {
                assert!(pack::unpack_along(&packed[..end], axis, |_, _| ()).is_err(), "{count} {end}");
            }
        }
    }
}

#[test]
fn what_is_no_pack_is_said() {
    assert_eq!(unpack(&[]), Err(pack::Error::Truncated));
    assert_eq!(unpack(&[9, 0]), Err(pack::Error::Version(9)));
    // A count of 2^63 points must not reach the allocator.
    let huge = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(unpack(&huge), Err(pack::Error::Corrupt("more points than a pack holds")));
    let mut longer = pack(&loss_curve(3, Value::Float));
    longer.push(0);
    assert_eq!(unpack(&longer), Err(pack::Error::Corrupt("bytes follow the last column")));
}

#[test]
fn a_tag_is_checked_by_characters() {
    assert_eq!(check_tag("train/loss (B)"), Ok(()));
    assert_eq!(check_tag(&"é".repeat(500)), Ok(()));
    assert_eq!(check_tag(&"é".repeat(501)), Err(Error::LongTag(501)));
    assert_eq!(check_tag(""), Err(Error::EmptyTag));
    let error = check_tag("a\nb").unwrap_err().to_string();
    assert!(error.contains(r#""a\nb" has a control character"#), "{error}");
    assert!(check_tag("a\u{85}b").is_err());
}

#[test]
fn the_wire_shows_null_for_what_json_cannot_say() {
    assert_eq!(wire_value(Value::Float(f64::INFINITY)), serde_json::Value::Null);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5].map(Value::Float) {
        assert_eq!(Value::from_json(&exact_value(value)), Ok(value), "{value:?}");
    }
    assert_eq!(exact_value(Value::Float(f64::NEG_INFINITY)), "-Infinity");
    assert_eq!(exact_value(Value::Int(3)), 3);
    assert_eq!(wire_value(Value::Float(f64::NAN)), serde_json::Value::Null);
    assert_eq!(wire_value(Value::Int(1)).to_string(), "1");
    assert_eq!(wire_value(Value::Float(1.0)).to_string(), "1.0");
}

#[test]
fn json_values_are_read_exactly_or_refused_by_name() {
    let read = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let direct = serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
        let read = Value::from_json(&json).map_err(|error| error.to_string());
        match (&read, &direct) {
            (Ok(a), Ok(b)) => assert_eq!(a, b),
            (Err(a), Err(b)) => assert!(b.starts_with(a.as_str()), "{a} / {b}"),
            _ => panic!("{text}: {read:?} / {direct:?}"),
        }
        read
    };
    assert_eq!(read("3"), Ok(Value::Int(3)));
    assert_eq!(read("3.0"), Ok(Value::Float(3.0)));
    assert_eq!(read("-0.0"), Ok(Value::Float(-0.0)));
    assert_eq!(read("18446744073709551615"), Ok(Value::Float(18_446_744_073_709_551_615.0)));
    assert_eq!(read("\"-Infinity\""), Ok(Value::Float(f64::NEG_INFINITY)));
    assert_eq!(read("null"), Ok(Value::Float(f64::NAN)));
    for text in ["true", "\"0.5\"", "[1]", "{\"a\":1}"] {
        let error = read(text).unwrap_err();
        assert!(error.contains("must be a number, null"), "{error}");
    }
}

#[test]
fn points_are_grouped_by_tag_in_the_order_they_came() {
    let reported = [("b", 1, None), ("a", 1, Some(Millis(5))), ("b", 2, None), ("b", 1, None)]
        .map(|(tag, step, at)| Reported { tag: tag.into(), step, value: Value::Int(step), at });
    let point = |step, at| Point { step, at: Millis(at), value: Value::Int(step) };
    assert_eq!(
        group_by_tag(reported, Millis(9)),
        [("b".into(), vec![point(1, 9), point(2, 9), point(1, 9)]), ("a".into(), vec![point(1, 5)])]
    );
}

#[test]
fn ids_of_points_sort_as_text_and_read_back() {
    let id = |ms, seq| Id { run: RunId::new(Millis(ms), [9; 10]), seq };
    let ids = [id(1, 0xff), id(1, 0x100), id(2, 1)];
    let texts = ids.map(|id| id.to_string());
    assert!(texts.is_sorted(), "{texts:?}");
    assert_eq!(texts.each_ref().map(|text| text.parse()), ids.map(Ok));
    for text in [
        "",
        "x",
        "0190-1",
        &texts[0].replace('-', ""),
        &texts[0].replace('f', "g"),
        &format!("{}é", texts[0]),
    ] {
        let error = text.parse::<Id>().unwrap_err().to_string();
        assert!(error.contains("is not a metric id"), "{error}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (-5i64..5).prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<f32>().prop_map(|value| Value::Float(value.into())),
        prop::sample::select(&[0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-310, -f64::NAN][..])
            .prop_map(Value::Float),
        (0.0..1.0f64).prop_map(Value::Float),
    ]
}

fn any_integer() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -3i64..3, 0i64..1_000_000, prop::sample::select(&[i64::MIN, i64::MAX][..])]
}

fn any_points() -> impl Strategy<Value = Vec<Point>> {
    let point = (any_integer(), any_integer(), any_value()).prop_map(|(step, at, value)| Point {
        step,
        at: Millis(at),
        value,
    });
    prop::collection::vec(point, 0..400)
}

proptest! {
    #[test]
    fn every_point_reads_back_to_the_bit(points in any_points()) {
        prop_assert_eq!(unpack(&pack(&points)), Ok(points));
    }

    #[test]
    fn every_integer_reads_back(values in prop::collection::vec(any_integer(), 0..600)) {
        prop_assert_eq!(unpack_integers(&pack_integers(&values)), Ok(values));
    }

    #[test]
    fn regular_columns_with_jumps_read_back(start in any::<i64>(), delta in any::<i64>(), jumps in prop::collection::vec((0usize..300, any::<i64>()), 0..20)) {
        let mut values: Vec<i64> = (0..300).map(|i| start.wrapping_add(delta.wrapping_mul(i))).collect();
        for (i, jump) in jumps {
            values[i] = values[i].wrapping_add(jump);
        }
        prop_assert_eq!(unpack_integers(&pack_integers(&values)), Ok(values));
    }

    #[test]
    fn damaged_bytes_never_panic(points in any_points(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = pack(&points);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = unpack(&bytes);
        let _ = unpack_integers(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = unpack(&bytes);
    }

    #[test]
    fn bytes_of_any_kind_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = unpack(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = unpack(&bytes);
        let _ = unpack_integers(&bytes);
    }
}
