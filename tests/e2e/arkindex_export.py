# Makes a database as Arkindex exports it; a second argument names a fault. Standard library only.
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript("""
CREATE TABLE export_version (version INTEGER); INSERT INTO export_version VALUES (9);
CREATE TABLE worker_version (id TEXT PRIMARY KEY, slug TEXT, name TEXT, repository_url TEXT, revision TEXT, version INTEGER, type TEXT);
CREATE TABLE worker_run (id TEXT PRIMARY KEY, worker_version_id TEXT, model_version_id TEXT, model_id TEXT, model_name TEXT, configuration_id TEXT, configuration TEXT);
CREATE TABLE image_server (id INTEGER PRIMARY KEY, url TEXT, display_name TEXT, max_width INTEGER, max_height INTEGER, version INTEGER);
CREATE TABLE image (id TEXT PRIMARY KEY, server_id INTEGER, url TEXT, width INTEGER, height INTEGER);
CREATE TABLE element (id TEXT %KEY%, name TEXT, type TEXT, image_id TEXT, polygon TEXT, confidence REAL, rotation_angle INTEGER DEFAULT 0, mirrored INTEGER DEFAULT 0, worker_run_id TEXT, created REAL, updated REAL);
CREATE TABLE element_path (id TEXT PRIMARY KEY, parent_id TEXT, child_id TEXT, ordering INTEGER);
CREATE TABLE classification (id TEXT PRIMARY KEY, class_name TEXT, confidence REAL, element_id TEXT, worker_run_id TEXT);
CREATE TABLE entity_type (id TEXT PRIMARY KEY, color TEXT, name TEXT);
CREATE TABLE metadata (id TEXT PRIMARY KEY, name TEXT, value TEXT, type TEXT, element_id TEXT, worker_run_id TEXT);
CREATE TABLE transcription (id TEXT PRIMARY KEY, orientation TEXT, text TEXT, confidence REAL, element_id TEXT, worker_run_id TEXT);
CREATE TABLE transcription_entity (id TEXT PRIMARY KEY, type_id TEXT, length INTEGER, offset INTEGER, confidence REAL, transcription_id TEXT, worker_run_id TEXT);
CREATE TABLE dataset (id TEXT PRIMARY KEY, name TEXT, description TEXT, sets TEXT);
CREATE TABLE dataset_element (id TEXT PRIMARY KEY, element_id TEXT, dataset_id TEXT, set_name TEXT);
""".replace("%KEY%", "" if "twice" in sys.argv else "PRIMARY KEY"))
uuid = lambda kind, n: f"{kind:08x}-0000-4000-8000-{n:012x}"
put = lambda table, *row: db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
put("worker_version", uuid(1, 1), "reader", "Reader", "https://x/repo", "https://x/repo/commit/abc123", None, "recognizer")
put("worker_run", uuid(2, 1), uuid(1, 1), None, None, None, uuid(3, 1), '{"beam": 5}')
put("image_server", 1, "https://images", "Images", 2000, None, 2)
put("image", uuid(4, 1), 1, "https://images/one.jpg", 1000, 1500)
put("element", uuid(5, 0), "The book", "book", None, None, None, 0, 0, None, 1700000000.5, 1700000000.5)
for n in range(1, 2101):
    put("element", uuid(5, n), f"page {n}", "page", uuid(4, 1), "[[0,0],[0,1500],[1000,1500],[1000,0],[0,0]]", 0.5, 90, 1, uuid(2, 1), 1700000001.0, 1700000001.0)
    put("element_path", uuid(6, n), uuid(5, 0), uuid(5, n), n)
put("classification", uuid(7, 1), "cover", 0.75, uuid(5, 1), uuid(2, 1))
put("entity_type", uuid(8, 1), "00ff00", "person")
put("transcription", uuid(9, 1), "horizontal-lr", "Ann was here", 0.9, uuid(5, 1), uuid(2, 1))
put("transcription_entity", uuid(10, 1), uuid(8, 1), 3, 0, 0.8, uuid(9, 1), uuid(2, 1))
put("metadata", uuid(11, 1), "folio", "1r", "reference", uuid(5, 1), None)
put("dataset", uuid(12, 1), "letters", "Some", '["train", "test"]')
put("dataset_element", uuid(13, 1), uuid(5, 1), uuid(12, 1), "train")
put("dataset_element", uuid(13, 2), uuid(5, 2), uuid(12, 1), "test")
if "twice" in sys.argv:
    put("element", uuid(5, 7), "again", "page", None, None, None, 0, 0, None, 1.0, 1.0)
if "dangling" in sys.argv:
    put("metadata", uuid(11, 2), "x", "y", "text", uuid(5, 9999), None)
if "circle" in sys.argv:
    put("element_path", uuid(6, 9999), uuid(5, 1), uuid(5, 0), 0)
if "polygon" in sys.argv:
    db.execute("UPDATE element SET polygon = '[[1,1],[1,1],[1,1]]' WHERE id = ?", [uuid(5, 5)])
db.commit()
