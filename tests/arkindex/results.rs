//! What workers of each generation write about elements with the package's own methods, and what our own API then shows.

use serde_json::{Value, json};

use crate::site::{GENERATIONS, Site, Worked, text};

#[test]
fn every_generation_writes_all_kinds_of_results_and_reads_them_back() {
    let Some(site) = Site::start() else { return };
    for generation in GENERATIONS {
        let (corpus, pages) = site.pages(generation, 1);
        let run = site.worker_run_over(&corpus, &json!({"selection": {"elements": pages}}));
        let read = || {
            let worker = &mut site.reader(generation, &run, &pages, &json!({"write": true}));
            Worked::of(worker).well(&["1 completed, 0 failed"]).said("READ ").remove(0)
        };
        let first = read();
        check(generation, &first);
        let results = site.server.get(&format!("/elements/{}/results", pages[0]));
        let found = |kind: &str| results[kind].as_array().map_or(0, Vec::len);
        let expected = (2, 1, 3);
        assert_eq!(
            (found("classifications"), found("transcriptions"), found("metadata")),
            expected,
            "{results:#}"
        );
        let sure = results["classifications"].as_array().into_iter().flatten();
        let sure: Vec<&Value> = sure.filter(|one| one["class"] == "read").collect();
        assert_eq!((&sure[0]["confidence"], &sure[0]["high_confidence"]), (&json!(0.75), &json!(true)));
        assert_eq!(sure[0]["worker_run_id"], json!(run));
        assert_eq!(site.server.get(&format!("/elements/{}", pages[0]))["name"], "page 1, read");
        // Done once more, it leaves what it left before, and nothing twice.
        let retry = json!({"state": "processed"});
        site.server.call("POST", &format!("/api/v2/worker_runs/{run}/retry")).json(&retry).send().data(200);
        check(generation, &read());
        let again = site.server.get(&format!("/elements/{}/results", pages[0]));
        let kinds = ["classifications", "transcriptions", "metadata"];
        for kind in kinds {
            assert_eq!(
                again[kind].as_array().map(Vec::len),
                results[kind].as_array().map(Vec::len),
                "{again:#}"
            );
        }
    }
}

fn check(generation: &str, read: &Value) {
    assert_eq!(read["made"].as_array().map(Vec::len), Some(2), "{generation}: {read:#}");
    assert!(read["lone"].is_string() && read["classified_again"].is_null(), "{generation}: {read:#}");
    assert_eq!(read["created"], json!([false, true]), "a child with the same polygon is used again");
    let children: Vec<String> = read["children"].as_array().expect("a list").iter().map(text).collect();
    assert_eq!(children.len(), 4, "{generation}: {children:?}");
    assert!(["a", "lone", "z"].iter().all(|name| children.iter().any(|child| child == name)), "{children:?}");
    assert_eq!(read["parents"], json!(["a book"]), "{generation}");
    assert_eq!(read["texts"], json!(["Ada met Charles.", "again", "new", "z"]), "{generation}");
    assert_eq!(
        (&read["of_people"], &read["entities"]),
        (&json!(0), &json!(["Ada", "Charles"])),
        "{generation}"
    );
    assert_eq!(read["metadata"], json!(["day", "title", "year"]), "{generation}");
    if generation != "0.3.7.post1" {
        assert_eq!(read["pages"].as_array().map(Vec::len), Some(1), "{generation}");
    }
}
