use proptest::prelude::*;
use serde_json::json;

use super::*;

fn polygon(value: Value) -> Polygon {
    serde_json::from_value(value).unwrap()
}

fn wrong(polygon: &Polygon, size: Option<(i64, i64)>) -> String {
    let mut errors = FieldErrors::default();
    polygon.check("polygon", size, &mut errors);
    errors.to_string()
}

#[test]
fn a_polygon_has_three_different_points() {
    for (points, count) in
        [(json!([]), 0), (json!([[1, 1], [2, 2]]), 2), (json!([[1, 1], [2, 2], [1, 1]]), 2)]
    {
        let said = wrong(&polygon(points), None);
        assert!(said.contains(&format!("has {count} different points: a polygon has at least 3")), "{said}");
    }
    assert_eq!(wrong(&polygon(json!([[1, 1], [2, 2], [2, 1], [1, 2]])), None), "");
}

#[test]
fn a_polygon_is_on_its_image() {
    let square = polygon(json!([[0, 0], [20, 0], [20, 10], [0, 10]]));
    assert_eq!(wrong(&square, Some((20, 10))), "");
    let said = wrong(&square, Some((19, 10)));
    assert_eq!(said, "polygon: has the point [20, 0]: the image has 19 x 10 pixels");
    let said = wrong(&polygon(json!([[0, 0], [-1, 0], [5, 5]])), None);
    assert_eq!(said, "polygon: has the point [-1, 0]: coordinates are 0 or more");
    let said = wrong(&polygon(json!([[0, 0], [1e300, 0], [5, 5]])), None);
    assert!(said.contains("coordinates are at most 1000000"), "{said}");
}

#[test]
fn coordinates_between_pixels_are_rounded_and_points_have_two_of_them() {
    assert_eq!(polygon(json!([[0.4, 0.5], [7, 1e1]])).0, [[0, 1], [7, 10]]);
    for bad in
        [json!([[1, 2, 3]]), json!([[1]]), json!([1, 2]), json!([["1", 2]]), json!("x"), json!([[null, 1]])]
    {
        assert!(serde_json::from_value::<Polygon>(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn results_say_which_of_them_is_wrong() {
    let results: Results = serde_json::from_value(json!({
        "classifications": [{"class": "a", "confidence": 0.5}, {"class": "a", "confidence": 1.5}],
        "transcriptions": [
            {"text": "né à Rome", "entities": [{"type": "place", "offset": 5, "length": 5}]},
            {"text": ""}
        ],
        "metadata": [{"type": "numeric", "name": "n", "value": "many"}, {"type": "url", "name": "u", "value": "x"}],
        "children": [{"type": "line", "name": "1", "results": {
            "children": [{"type": "a word", "name": " ", "rotation_angle": 360, "polygon": [[0, 0]]}]}}]
    }))
    .unwrap();
    let mut errors = FieldErrors::default();
    results.check("items.3", None, &mut errors);
    let paths: Vec<&str> = errors.0.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "items.3.children.0.results.children.0.name",
            "items.3.children.0.results.children.0.polygon",
            "items.3.children.0.results.children.0.rotation_angle",
            "items.3.children.0.results.children.0.type",
            "items.3.classifications.1.class",
            "items.3.classifications.1.confidence",
            "items.3.metadata.0.value",
            "items.3.metadata.1.value",
            "items.3.transcriptions.0.entities.0.length",
            "items.3.transcriptions.1.text",
        ]
    );
    let said = &errors.0["items.3.transcriptions.0.entities.0.length"][0];
    assert_eq!(said, "reaches to character 10, but the text has 9");
    assert_eq!(results.count(), 9);
}

#[test]
fn an_entity_is_named_after_its_text_in_characters() {
    let entity = Entity { offset: 5, length: 4, ..Entity::default() };
    assert_eq!(entity.name_in("né à Rome"), "Rome");
    let named = Entity { name: Some("Roma".into()), ..entity };
    assert_eq!(named.name_in("né à Rome"), "Roma");
}

#[test]
fn children_are_not_nested_without_end() {
    let mut nested = Results::default();
    for _ in 0..=result::MAX_NESTED {
        let child = Child { of_type: "line".into(), name: "1".into(), ..Child::default() };
        let results = if nested.is_empty() { None } else { Some(Box::new(nested)) };
        nested = Results { children: vec![Child { results, ..child }], ..Results::default() };
    }
    let mut errors = FieldErrors::default();
    nested.check("", None, &mut errors);
    assert!(errors.to_string().contains("nested more than 8 deep"), "{errors}");
}

#[test]
fn words_are_what_serde_writes() {
    for orientation in Orientation::ALL {
        assert_eq!(json!(orientation), json!(orientation.word()));
        assert_eq!(Orientation::from_word(orientation.word()), Some(*orientation));
    }
    for of_type in MetadataType::ALL {
        assert_eq!(json!(of_type), json!(of_type.word()));
    }
    for state in ClassificationState::ALL {
        assert_eq!(json!(state), json!(state.word()));
    }
}

#[test]
fn names_slugs_sizes_and_addresses_have_rules() {
    let mut errors = FieldErrors::default();
    check_name("empty", "", &mut errors);
    check_name("blank", "  ", &mut errors);
    check_name("long", &"x".repeat(251), &mut errors);
    check_name("line", "a\nb", &mut errors);
    check_name("fine", &"é".repeat(250), &mut errors);
    check_slug("slug", "text line", &mut errors);
    check_slug("fine", "text_line-2", &mut errors);
    check_url("path", "/data/page.jpg", &mut errors);
    check_url("fine", "file:///data/page.jpg", &mut errors);
    check_size("image", Some(0), None, &mut errors);
    check_size("fine", None, None, &mut errors);
    let said: Vec<String> = errors.0.iter().map(|(path, said)| format!("{path} {}", said[0])).collect();
    assert_eq!(
        said,
        [
            "blank is blank: a name has 1 to 250 characters",
            "empty is empty: a name has 1 to 250 characters",
            "image.height is needed: give both sides of the image, or none",
            "image.width is 0: a side has 1 to 1000000 pixels",
            "line has a control character, such as a line break: write it without",
            "long has 251 characters: a name has 1 to 250 characters",
            "path is `/data/page.jpg`: write a whole address, such as https://host/page.jpg or file:///data/page.jpg",
            "slug is `text line`: a type has 1 to 50 letters, digits, `-` and `_`, such as `page`",
        ]
    );
}

#[test]
fn an_element_to_be_made_says_all_that_is_wrong_with_it() {
    let new: NewElement = serde_json::from_value(json!({
        "type": "a page", "name": "", "rotation_angle": -1, "confidence": 2,
        "image": {"url": "file:///a", "width": 10, "height": 10}, "polygon": [[0, 0], [11, 0], [1, 1]],
        "results": {"metadata": [{"type": "text", "name": "n", "value": ""}]}
    }))
    .unwrap();
    let mut errors = FieldErrors::default();
    new.check("elements.7", &mut errors);
    NewElement {
        image: Some(NewImage::default()),
        of_type: "p".into(),
        name: "n".into(),
        ..NewElement::default()
    }
    .check("elements.8", &mut errors);
    let paths: Vec<&str> = errors.0.keys().map(String::as_str).collect();
    let fields = ["confidence", "name", "polygon", "results.metadata.0.value", "rotation_angle", "type"];
    let mut wanted = fields.map(|field| format!("elements.7.{field}")).to_vec();
    wanted.push("elements.8.image".into());
    assert_eq!(paths, wanted);
    let error =
        serde_json::from_value::<NewElement>(json!({"id": "x", "type": "p", "name": "n"})).unwrap_err();
    assert!(error.to_string().contains("`x` is not an element id: ids are UUIDs such as"), "{error}");
}

proptest! {
    #[test]
    fn a_ring_has_one_outline_wherever_it_begins_and_whichever_way_it_turns(
        points in prop::collection::vec([0_i64..4, 0..4], 1..12), start in 0_usize..12, turn: bool, close: bool,
    ) {
        let ring = Polygon(points.clone());
        let mut other = Polygon(ring.outline());
        let n = other.0.len();
        other.0.rotate_left(start % n);
        if turn {
            other.0.reverse();
        }
        if close {
            other.0.push(other.0[0]);
        }
        prop_assert_eq!(other.outline(), ring.outline());
        // Nothing but repeats of a point is lost.
        for point in &points {
            prop_assert!(ring.outline().contains(point));
        }
    }

    #[test]
    fn what_the_check_accepts_lies_in_its_bounds_on_the_image(
        points in prop::collection::vec([-3_i64..40, -3..40], 0..8), width in 1_i64..40, height in 1_i64..40,
    ) {
        let polygon = Polygon(points);
        if wrong(&polygon, Some((width, height))).is_empty() {
            let (x, y, w, h) = polygon.bounds().unwrap();
            prop_assert!(x >= 0 && y >= 0 && x + w <= width && y + h <= height);
            prop_assert!(w > 0 || h > 0);
        }
        let text = serde_json::to_string(&polygon).unwrap();
        prop_assert_eq!(serde_json::from_str::<Polygon>(&text).unwrap(), polygon);
    }
}
