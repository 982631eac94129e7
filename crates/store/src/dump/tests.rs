use std::sync::{Arc, Mutex};

use runyard_domain::{Millis, RunId, metric::Point, metric::Value as Scalar, token::Scope};

use super::*;
use crate::{Db, Options, both, metric, project, run, testing, token};

/// Something in most tables: texts with quotes, nulls, bytes, floats.
async fn fill(db: &Db) -> RunId {
    let (id, mut owned) = (testing::project(1), testing::run(1, Millis(5), testing::project(1).id));
    owned.name = "it's \"quoted\" and ü".into();
    let run_id = owned.id;
    db.write(move |tx| {
        project::insert(tx, &id)?;
        token::insert(tx, &testing::token(1, Scope::Project(id.id)))?;
        token::insert(tx, &testing::token(2, Scope::Admin))?;
        crate::blueprint::insert(tx, &testing::blueprint(1, id.id))?;
        testing::insert_runs(tx, std::slice::from_ref(&owned))?;
        let job = runyard_domain::JobId::new(Millis(6), [1; 10]);
        crate::log::append(tx, job, 0, b"a line\nand \0 bytes", 1 << 20)?;
        for step in 0..2000 {
            let value =
                if step % 7 == 0 { Scalar::Float(f64::NAN) } else { Scalar::Float(step as f64 / 3.0) };
            let point = Point { step, at: Millis(step), value };
            metric::append(tx, owned.id, job, 1, &[("loss".to_owned(), vec![point])])?;
        }
        Ok::<_, db::Error>(())
    })
    .await
    .unwrap();
    run_id
}

async fn dumped(db: &Db) -> Vec<u8> {
    let out = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&out);
    db.read(move |tx| {
        let mut out = written.lock().unwrap();
        out.clear();
        write(tx, &mut *out).map_err(|error| db::Error::Sql(error.to_string()))
    })
    .await
    .unwrap();
    std::mem::take(&mut *out.lock().unwrap())
}

async fn loaded(db: &Db, bytes: &[u8]) -> Result<u64, String> {
    let bytes = bytes.to_vec();
    db.write(move |tx| load(tx, &mut &bytes[..]).map_err(|error| db::Error::Sql(error.to_string())))
        .await
        .map_err(|error| error.to_string())
}

fn empty_sqlite() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite_at(folder.path().join("test.db"), &Options::default(), newest()).unwrap();
    (folder, db)
}

async fn points(db: &Db, run: RunId) -> Vec<crate::metric::Row> {
    db.read(move |tx| {
        let query = crate::metric::Query { run_ids: vec![run], ..crate::metric::Query::default() };
        crate::metric::points(tx, &query)
    })
    .await
    .unwrap()
}

both! {
    async fn rows_of_either_engine_are_taken_by_the_other(db) {
        let run = fill(&db).await;
        let bytes = dumped(&db).await;
        // From what was dumped here into SQLite, and from there back into an engine like this one.
        let (_folder, sqlite) = empty_sqlite();
        let rows = loaded(&sqlite, &bytes).await.unwrap();
        assert!(rows > 10, "{rows}");
        assert_eq!(points(&sqlite, run).await, points(&db, run).await);
        let again = dumped(&sqlite).await;
        if db.dialect() == Dialect::Sqlite {
            assert!(again == bytes, "the same rows make the same bytes");
        } else if let Some(fresh) = testing::FreshPostgres::create() {
            let back = Db::open_postgres(&fresh.url, &Options::default()).unwrap();
            assert_eq!(loaded(&back, &again).await.unwrap(), rows);
            assert_eq!(points(&back, run).await, points(&db, run).await);
            let names = back.read(|tx| run::list(tx, &run::Filter::default())).await.unwrap();
            assert_eq!(names[0].name, "it's \"quoted\" and ü");
            back.close().await;
        }
        sqlite.close().await;
    }

    async fn every_table_is_dumped(db) {
        let sql = match db.dialect() {
            Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            Dialect::Postgres => "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema()",
        };
        let (found, there) = db.read(move |tx| {
            let names: Vec<String> =
                tx.query(sql, &[])?.iter().map(|row| row.get(0)).collect::<Result<_, db::Error>>()?;
            Ok::<_, db::Error>((names, there(tx)?))
        }).await.unwrap();
        let expected = found.into_iter().filter(|name| name != "schema_migrations").collect();
        assert_eq!(there, expected);
        assert_eq!(tables().len(), there.len());
    }

    async fn rows_go_into_empty_tables_only(db) {
        fill(&db).await;
        let bytes = dumped(&db).await;
        let error = loaded(&db, &bytes).await.unwrap_err();
        assert!(error.contains("not empty"), "{error}");
    }
}

#[tokio::test]
async fn damage_is_found_and_nothing_is_kept() {
    let (_one, db) = empty_sqlite();
    fill(&db).await;
    let bytes = dumped(&db).await;
    let (_two, target) = empty_sqlite();
    for (what, damaged) in [
        ("cut off", bytes[..bytes.len() - 9].to_vec()),
        ("within a row", bytes[..bytes.len() / 2].to_vec()),
        ("other", b"something else entirely".to_vec()),
        ("another count", [&bytes[..bytes.len() - 8], &[9; 8]].concat()),
    ] {
        let error = loaded(&target, &damaged).await.unwrap_err();
        assert!(error.contains("damaged"), "{what}: {error}");
    }
    assert!(loaded(&target, &bytes).await.unwrap() > 0, "the tables are empty still");
}

#[tokio::test]
async fn rows_of_an_older_version_are_taken_and_migrated() {
    let (folder, old) = empty_sqlite();
    old.close().await;
    let path = folder.path().join("old.db");
    let old = Db::open_sqlite_at(&path, &Options::default(), 4).unwrap();
    old.write(|tx| project::insert(tx, &testing::project(1))).await.unwrap();
    let bytes = dumped(&old).await;
    assert_eq!(old.read(version).await.unwrap(), 4);
    old.close().await;

    let path = folder.path().join("new.db");
    let new = Db::open_sqlite_at(&path, &Options::default(), 4).unwrap();
    loaded(&new, &bytes).await.unwrap();
    new.close().await;
    let new = Db::open_sqlite(&path, &Options::default()).unwrap();
    assert_eq!(new.read(version).await.unwrap(), newest());
    let found = new.read(|tx| project::by_name(tx, "project 1")).await.unwrap();
    assert!(found.is_some());
    new.close().await;
    let error = Db::open_sqlite_at(&path, &Options::default(), newest() + 1).unwrap_err();
    assert!(matches!(error, db::Error::Newer { .. }), "{error}");
}
