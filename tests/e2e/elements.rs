//! Elements from outside: imported from lines, images and tables, listed, shown, deleted; imported from Arkindex; and every file
//! that is refused.

use std::{
    fmt::Write as _, fs, io::Write as _, net::TcpStream, path::PathBuf, process::Command, time::Duration,
};

use runyard_tests::{Server, wait_until};
use serde_json::{Value, json};

/// A file below the server's home.
fn file(server: &Server, name: &str, content: &str) -> PathBuf {
    let path = server.home().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn import(server: &Server, from: &str, more: &[&str]) -> runyard_tests::Output {
    let args = [&["element", "import", from, "--corpus", "books", "--output", "json"], more].concat();
    server.cli(&args)
}

fn listed(server: &Server, more: &[&str]) -> Vec<Value> {
    let args = [&["element", "ls", "--corpus", "books", "-n", "100000", "--output", "json"], more].concat();
    server.cli(&args).ok().json().as_array().unwrap().clone()
}

fn names(elements: &[Value]) -> Vec<&str> {
    elements.iter().map(|element| element["name"].as_str().unwrap()).collect()
}

#[test]
fn lines_are_imported_in_their_order_and_the_same_file_again_changes_nothing() {
    let server = Server::start();
    server.cli(&["corpus", "create", "books"]).ok();
    let mut lines = String::from("{\"type\": \"book\", \"name\": \"the book\"}\n\n");
    for n in 0..6_000 {
        writeln!(lines, "{}", json!({"name": format!("p{n}"), "parents": ["the book"], "payload": {"n": n}}))
            .unwrap();
    }
    let path = file(&server, "pages.jsonl", &lines);
    let path = path.to_str().unwrap();
    let imported = import(&server, path, &["--type", "page"]).ok().json();
    assert_eq!((&imported["elements"], &imported["created"]), (&json!(6001), &json!(6001)));
    let again = import(&server, path, &["--type", "page"]).ok().json();
    assert_eq!((&again["elements"], &again["created"]), (&json!(6001), &json!(0)));
    // One more line brings one more element.
    lines.push_str("{\"name\": \"the last one\"}");
    fs::write(path, &lines).unwrap();
    assert_eq!(import(&server, path, &["--type", "page"]).ok().json()["created"], 1);
    let all = listed(&server, &[]);
    assert_eq!(all.len(), 6002);
    assert_eq!((all[0]["name"].as_str(), all[1]["name"].as_str()), (Some("the book"), Some("p0")));
    assert_eq!(
        (all[6000]["name"].as_str(), all[6001]["name"].as_str()),
        (Some("p5999"), Some("the last one"))
    );
    let top = listed(&server, &["--top-level"]);
    assert_eq!(names(&top), ["the book", "the last one"]);
    assert_eq!(listed(&server, &["--parent", "the book", "--name", "p599"]).len(), 11);

    let shown = server.cli(&["element", "show", all[1]["id"].as_str().unwrap()]).ok().stdout;
    assert!(shown.contains("p0") && shown.contains("{\"n\":0}"), "{shown}");
    let book = all[0]["id"].as_str().unwrap();
    server.cli(&["element", "rm", book]).refused(2, &["Delete the element the book", "--yes"]);
    server.cli(&["element", "rm", book, "--yes"]).ok();
    assert_eq!(names(&listed(&server, &[])), ["the last one"]);
    server.cli(&["corpus", "rm", "books", "--yes"]).ok();
    server
        .cli(&["element", "ls", "--corpus", "books"])
        .refused(1, &["no corpus `books`", "runyard corpus create books"]);
}

#[test]
fn a_wrong_line_is_named_and_nothing_is_made_twice_once_it_is_mended() {
    let server = Server::start();
    server.cli(&["corpus", "create", "books"]).ok();
    let good = |n: u32| format!("{}\n", json!({"type": "page", "name": format!("p{n}")}));
    let bad = format!("{}{}{}", good(1), "{\"type\": \"page\", \"name\": \"\"}\n", good(3));
    let path = file(&server, "pages.jsonl", &bad);
    let path = path.to_str().unwrap();
    import(&server, path, &[]).refused(1, &["line 2: name is empty", "nothing is made twice"]);
    assert_eq!(listed(&server, &[]).len(), 0);
    fs::write(path, [good(1), good(2), good(3)].concat()).unwrap();
    assert_eq!(import(&server, path, &[]).ok().json()["created"], 3);
    fs::write(path, "[1]\n").unwrap();
    import(&server, path, &[]).refused(1, &["line 1 is no JSON object"]);
    fs::write(path, format!("{}{{\"type\": \"page\", \"name\": \"x\", \"polygon\": [[1, 2]]}}\n", good(1)))
        .unwrap();
    import(&server, path, &[]).refused(1, &["line 2: polygon"]);
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let twice = format!("{0}\n{0}\n", json!({"id": id, "type": "page", "name": "same"}));
    fs::write(path, twice).unwrap();
    import(&server, path, &[]).refused(1, &["line 2: id", id, "of line 1"]);
    import(&server, "nowhere.jsonl", &[]).refused(2, &["cannot read nowhere.jsonl"]);
}

#[test]
fn a_folder_of_images_becomes_elements_with_their_sizes() {
    let server = Server::start();
    server.cli(&["corpus", "create", "books"]).ok();
    let folder = server.home().join("scans");
    fs::create_dir_all(folder.join("volume 1")).unwrap();
    // The header of a PNG says how large it is.
    let png = |width: u8| {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 0, width, 0, 0, 0, 7, 8, 2, 0, 0, 0]].concat()
    };
    fs::write(folder.join("page-10.png"), png(10)).unwrap();
    fs::write(folder.join("page-2.png"), png(2)).unwrap();
    fs::write(folder.join("volume 1/page-3.PNG"), png(3)).unwrap();
    fs::write(folder.join("notes.txt"), "no image").unwrap();
    let path = folder.to_str().unwrap();
    import(&server, path, &[]).refused(2, &["images say no type", "--type page"]);
    let imported = import(&server, path, &["--type", "page"]).ok();
    assert_eq!(imported.json()["created"], 3);
    assert!(imported.stderr.contains("1 files were left out"), "{}", imported.stderr);
    fs::write(folder.join("page-1.png"), png(1)).unwrap();
    assert_eq!(import(&server, path, &["--type", "page"]).ok().json()["created"], 1);
    let all = listed(&server, &[]);
    assert_eq!(names(&all), ["page-1", "page-2", "volume 1/page-3", "page-10"]);
    assert_eq!((&all[2]["image"]["width"], &all[2]["image"]["height"]), (&json!(3), &json!(7)));
    let url = all[2]["image"]["url"].as_str().unwrap();
    assert!(url.starts_with("file:///") && url.ends_with("/scans/volume%201/page-3.PNG"), "{url}");
    fs::write(folder.join("broken.png"), "nothing of an image").unwrap();
    import(&server, path, &["--type", "page"]).refused(1, &["broken.png cannot be read as an image"]);
}

/// Python with the standard library: makes an export as Arkindex does.
const EXPORT: &str = include_str!("arkindex_export.py");

fn export(server: &Server, fault: &str) -> String {
    let path = server.home().join(format!("export-{fault}.sqlite"));
    let script = file(server, "export.py", EXPORT);
    let done = Command::new("python3").arg(script).arg(&path).arg(fault).status().unwrap();
    assert!(done.success());
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_arkindex_export_becomes_a_corpus_with_its_ids() {
    let server = Server::start();
    let path = export(&server, "good");
    for _ in 0..2 {
        let imported =
            server.cli(&["arkindex", "import", &path, "--corpus", "books", "--output", "json"]).ok().json();
        assert_eq!(imported["elements"], 2101);
        assert_eq!(listed(&server, &[]).len(), 2101);
    }
    let book = server.get("/elements/00000005-0000-4000-8000-000000000000");
    assert_eq!(
        (&book["name"], &book["top_level"], &book["type"]),
        (&json!("The book"), &json!(true), &json!("book"))
    );
    assert_eq!(book["created_at"], 1_700_000_000_500_i64);
    let children = server.get("/elements/00000005-0000-4000-8000-000000000000/children?limit=3");
    assert_eq!(names(children.as_array().unwrap()), ["page 1", "page 2", "page 3"]);
    let first = &children[0];
    assert_eq!(
        (&first["rotation_angle"], &first["mirrored"], &first["confidence"]),
        (&json!(90), &json!(true), &json!(0.5))
    );
    assert_eq!(
        (&first["image"]["id"], &first["image"]["width"]),
        (&json!("00000004-0000-4000-8000-000000000001"), &json!(1000))
    );
    assert_eq!(first["worker_run_id"], "00000002-0000-4000-8000-000000000001");
    let results = server.get("/elements/00000005-0000-4000-8000-000000000001/results");
    let one = |kind: &str| {
        assert_eq!(results[kind].as_array().unwrap().len(), 1, "{results:#}");
        results[kind][0].clone()
    };
    assert_eq!(
        (&one("classifications")["class"], &one("classifications")["confidence"]),
        (&json!("cover"), &json!(0.75))
    );
    assert_eq!(one("classifications")["id"], "00000007-0000-4000-8000-000000000001");
    let text = one("transcriptions");
    assert_eq!(
        (&text["text"], &text["id"]),
        (&json!("Ann was here"), &json!("00000009-0000-4000-8000-000000000001"))
    );
    assert!(text.to_string().contains("\"Ann\"") && text.to_string().contains("person"), "{text:#}");
    assert_eq!((&one("metadata")["name"], &one("metadata")["value"]), (&json!("folio"), &json!("1r")));
    let run = server.get("/worker_runs/00000002-0000-4000-8000-000000000001");
    assert_eq!((&run["worker"], &run["configuration"]), (&json!("reader"), &json!({"beam": 5})));
    assert_eq!(run["summary"], "Worker Reader @ abc123");
    let dataset = server.get("/datasets/0000000c-0000-4000-8000-000000000001");
    assert_eq!(dataset["sets"], json!([{"name": "train", "elements": 1}, {"name": "test", "elements": 1}]));
    // The same ids cannot be in another corpus.
    let elsewhere = server.cli(&["arkindex", "import", &path, "--corpus", "others"]);
    elsewhere.refused(1, &["this server has it already, in another corpus"]);
}

#[test]
fn an_export_that_does_not_hold_together_writes_nothing() {
    let server = Server::start();
    for (fault, words) in [
        ("twice", "the element `00000005-0000-4000-8000-000000000007` is there more than once"),
        ("dangling", "refers to the element `00000005-0000-4000-8000-00000000270f`, which is not there"),
        ("circle", "there is a circle in element_path"),
        ("polygon", "element.00000005-0000-4000-8000-000000000005.polygon"),
    ] {
        let path = export(&server, fault);
        let refused = server.cli(&["arkindex", "import", &path, "--corpus", "books"]);
        refused.refused(1, &[words, "nothing was written"]);
        assert_eq!(server.get("/corpora"), json!([]), "{fault}");
    }
    let other = file(&server, "other.sqlite", "SQLite format 3\0 and then nothing of it");
    let other = server.cli(&["arkindex", "import", other.to_str().unwrap(), "--corpus", "books"]);
    other.refused(1, &["is no SQLite export of Arkindex"]);
    let text = file(&server, "other.json", "{\"pages\": []}");
    let text = server.cli(&["arkindex", "import", text.to_str().unwrap(), "--corpus", "books"]);
    text.refused(2, &["neither a SQLite export nor a description", "pages"]);
}

#[test]
fn a_description_becomes_a_corpus_with_its_ids_and_a_repeat_completes_it() {
    let server = Server::start();
    let id = |kind: u32, n: u32| format!("{kind:08x}-0000-4000-8000-{n:012x}");
    let element = |n: u32, parents: Value, run: Value| json!({"id": id(5, n), "type": "page", "name": format!("p{n}"), "parents": parents, "worker_run_id": run});
    let description = json!({
        "corpus": {"id": id(1, 1), "description": "Old books", "types": [{"slug": "page"}]},
        "models": [{"id": id(2, 1), "name": "reader"}],
        "worker_runs": [{"id": id(3, 1), "worker": "finder"}],
        "elements": [element(1, json!([]), json!(null)), element(2, json!([id(5, 1)]), json!(id(3, 1)))],
        "datasets": [{"id": id(6, 1), "name": "letters", "sets": [{"name": "train", "elements": [id(5, 1), id(5, 2)]}]}],
    });
    let path = file(&server, "books.json", &description.to_string());
    for _ in 0..2 {
        server.cli(&["arkindex", "import", path.to_str().unwrap(), "--corpus", "books"]).ok();
    }
    assert_eq!(server.get(&format!("/corpora/{}", id(1, 1)))["name"], "books");
    assert_eq!(server.get(&format!("/models/{}", id(2, 1)))["name"], "reader");
    let second = server.get(&format!("/elements/{}", id(5, 2)));
    assert_eq!((&second["worker_run_id"], &second["parents"]), (&json!(id(3, 1)), &json!([id(5, 1)])));
    assert_eq!(server.get(&format!("/datasets/{}", id(6, 1)))["sets"][0]["elements"], 2);
    let mut twice = description;
    twice["elements"][1]["id"] = json!(id(5, 1));
    let path = file(&server, "twice.json", &twice.to_string());
    let refused = server.cli(&["arkindex", "import", path.to_str().unwrap(), "--corpus", "others"]);
    refused.refused(2, &["elements.1.id", &id(5, 1), "nothing was written"]);
    assert_eq!(server.get("/corpora").as_array().unwrap().len(), 1);
}

#[test]
fn what_a_killed_server_held_of_an_export_is_gone_when_it_starts_again() {
    let mut server = Server::start();
    let exports = server.data().join("cache/exports");
    let held = || fs::read_dir(&exports).map_or(0, Iterator::count);
    let mut sender = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST /api/v2/arkindex/import?name=books HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 99999\r\n\r\nSQLite",
        server.token()
    );
    sender.write_all(head.as_bytes()).unwrap();
    wait_until("the export is being kept", Duration::from_secs(20), || held() == 1);
    server.kill();
    assert_eq!(held(), 1);
    server.restart();
    assert_eq!(held(), 0);
}
