use std::collections::BTreeMap;

use runyard_domain::{BucketId, BucketObjectId, Millis, ProjectId};

use super::{
    Bucket,
    object::{self, After, Object},
    piece::{self, Piece},
};
use crate::{Db, Error, both, project::Project};

fn id(at: i64) -> BucketObjectId {
    BucketObjectId::new(Millis(at), [0; 10])
}

fn bucket() -> Bucket {
    let project_id = ProjectId::new(Millis(1), [0; 10]);
    Bucket {
        id: BucketId::new(Millis(1), [1; 10]),
        project_id,
        name: "data".to_owned(),
        created_at: Millis(1),
    }
}

fn at(key: &str, number: i64) -> Object {
    Object {
        id: id(number),
        bucket_id: bucket().id,
        key: key.to_owned(),
        current: true,
        of_type: "Normal".to_owned(),
        source: None,
        size: number,
        etag: "E".to_owned(),
        sha256: None,
        crc64: Some(u64::MAX - number as u64),
        headers: BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]),
        modified_at: Millis(number),
    }
}

fn on_its_way(key: &str, number: i64, source: Option<&str>) -> Object {
    Object { current: false, source: source.map(str::to_owned), ..at(key, number) }
}

async fn with(db: &Db, objects: Vec<Object>) {
    let bucket = bucket();
    db.write(move |tx| {
        let project = Project {
            id: bucket.project_id,
            name: "p".to_owned(),
            description: String::new(),
            created_at: Millis(1),
        };
        crate::project::insert(tx, &project)?;
        assert!(super::insert(tx, &bucket)?);
        objects.iter().try_for_each(|object| object::insert(tx, object))
    })
    .await
    .unwrap();
}

async fn keys(db: &Db, prefix: &'static str, after: After<'static>, limit: i64) -> Vec<String> {
    let found = db.read(move |tx| object::list(tx, bucket().id, prefix, after, limit)).await.unwrap();
    found.into_iter().map(|object| object.key).collect()
}

both! {
    async fn keys_are_listed_byte_by_byte_whatever_the_locale(db) {
        let names = ["b", "B", "a", "ä", "a/1", "a-1", "\u{10ffff}", "日本", "a b", "_"];
        with(&db, names.iter().zip(1..).map(|(name, number)| at(name, number)).collect()).await;
        let mut sorted = names.map(str::to_owned);
        sorted.sort_unstable();
        assert_eq!(keys(&db, "", After::This(""), 100).await, sorted);
        assert_eq!(keys(&db, "a", After::This(""), 100).await, ["a", "a b", "a-1", "a/1"]);
        assert_eq!(keys(&db, "a", After::This("a b"), 1).await, ["a-1"]);
        assert_eq!(keys(&db, "a", After::At("a/1"), 9).await, ["a/1"]);
        assert_eq!(keys(&db, "\u{10ffff}", After::This(""), 9).await, ["\u{10ffff}"]);
        assert!(keys(&db, "a", After::This("b"), 9).await.is_empty());
    }

    async fn a_key_has_one_object_and_any_number_that_are_on_their_way(db) {
        let all = vec![at("k", 1), on_its_way("k", 2, None), on_its_way("k", 3, None), on_its_way("k", 4, Some("j"))];
        with(&db, all).await;
        db.write(|tx| {
            let of = bucket().id;
            assert_eq!(object::current(tx, of, "k")?, Some(at("k", 1)));
            assert_eq!(object::current(tx, of, "K")?, None);
            assert_eq!(object::by_source(tx, of, "j", "k")?.map(|found| found.id), Some(id(4)));
            assert_eq!(object::by_source(tx, of, "i", "k")?, None);
            assert_eq!(object::lock(tx, id(3))?.map(|found| found.current), Some(false));
            object::delete(tx, id(1))?;
            let mut next = object::get(tx, id(2))?.unwrap();
            (next.current, next.etag) = (true, "N".to_owned());
            object::save(tx, &next)?;
            assert_eq!(object::current(tx, of, "k")?, Some(next));
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        let second = db.write(|tx| object::insert(tx, &at("k", 9))).await;
        assert!(second.is_err(), "two objects under one key");
    }

    async fn uploads_go_on_behind_a_key_or_behind_one_of_its_uploads(db) {
        let of_a = [on_its_way("a", 1, None), on_its_way("a", 2, None)];
        let others = [on_its_way("b", 3, None), on_its_way("b", 4, Some("job")), at("b", 5)];
        with(&db, of_a.into_iter().chain(others).collect()).await;
        let list = |prefix: &'static str, key: &'static str, after: String| {
            db.read(move |tx| {
                let found = object::uploads(tx, bucket().id, prefix, (key, &after), 9)?;
                Ok::<_, Error>(found.into_iter().map(|upload| upload.id).collect::<Vec<_>>())
            })
        };
        assert_eq!(list("", "", String::new()).await.unwrap(), [id(1), id(2), id(3)]);
        assert_eq!(list("", "a", id(1).to_string()).await.unwrap(), [id(2), id(3)]);
        assert_eq!(list("", "a", "~".to_owned()).await.unwrap(), [id(3)]);
        assert_eq!(list("b", "a", String::new()).await.unwrap(), [id(3)]);
        let old = db.write(|tx| object::deserted(tx, Millis(3), 9)).await.unwrap();
        assert_eq!(old.iter().map(|upload| upload.id).collect::<Vec<_>>(), [id(1), id(2)]);
    }

    async fn pieces_follow_their_numbers_and_the_last_one_of_a_number_counts(db) {
        with(&db, vec![at("k", 1), on_its_way("l", 2, None)]).await;
        let piece = |object: i64, number: i64, key: &str| Piece {
            object_id: id(object),
            number,
            object_key: key.to_owned(),
            size: number,
            etag: "E".to_owned(),
            crc64: Some(u64::MAX),
            modified_at: Millis(number),
        };
        db.write(move |tx| {
            for (number, key) in [(10, "x/10"), (2, "x/2"), (2, "x/2b")] {
                piece::put(tx, &piece(1, number, key))?;
            }
            piece::put(tx, &piece(2, 1, "y/1"))?;
            assert_eq!(piece::list(tx, id(1), 0, 9)?, [piece(1, 2, "x/2b"), piece(1, 10, "x/10")]);
            assert_eq!(piece::list(tx, id(1), 2, 9)?, [piece(1, 10, "x/10")]);
            assert_eq!(piece::get(tx, id(1), 2)?, Some(piece(1, 2, "x/2b")));
            assert!(piece::is_one(tx, id(1), "x/2b")? && !piece::is_one(tx, id(1), "x/2")?);
            assert!(piece::is_one(tx, id(2), "y/another")?, "somebody may be about to note it");
            assert!(!piece::is_one(tx, id(3), "x/2b")?);
            let mut kept = Vec::new();
            crate::object::pieces(tx, |key, size| { kept.push((key, size)); Ok::<_, Error>(()) })?;
            kept.sort();
            assert_eq!(kept, [("x/10".to_owned(), 10), ("x/2b".to_owned(), 2)], "what is on its way is in no backup");
            object::delete(tx, id(1))?;
            assert!(piece::list(tx, id(1), 0, 9)?.is_empty());
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    }

    async fn a_bucket_has_its_name_on_the_whole_server_and_goes_when_it_is_empty(db) {
        with(&db, vec![at("k", 1)]).await;
        db.write(|tx| {
            let (one, project) = (bucket(), bucket().project_id);
            let two = Bucket { id: BucketId::new(Millis(2), [0; 10]), name: "more".to_owned(), ..bucket() };
            assert!(!super::insert(tx, &Bucket { id: two.id, ..bucket() })?);
            assert!(super::insert(tx, &two)?);
            assert_eq!(super::by_name(tx, "data")?, Some(one.clone()));
            assert_eq!(super::list(tx, Some(project), "", "", 9)?, [one.clone(), two.clone()]);
            assert_eq!(super::list(tx, None, "mo", "data", 9)?, std::slice::from_ref(&two));
            assert_eq!(super::list(tx, Some(ProjectId::new(Millis(9), [0; 10])), "", "", 9)?, []);
            assert!(super::lock(tx, one.id)? && super::is_used(tx, one.id)? && !super::is_used(tx, two.id)?);
            assert_eq!(super::delete_empty(tx, project)?.as_deref(), Some("data"));
            assert_eq!(super::by_name(tx, "more")?, None);
            object::delete(tx, id(1))?;
            assert_eq!(super::delete_empty(tx, project)?, None);
            assert!(!super::lock(tx, one.id)?);
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    }
}
