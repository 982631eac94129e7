//! Objects in parts: any order, repeats, restarts, and what cannot be completed.

use super::{super::multipart::*, *};

async fn begun(yard: &Yard, key: &str) -> Upload {
    let object = begin(&yard.engine, &yard.admin, new(key)).await.unwrap();
    Upload { bucket: "data".into(), key: key.into(), id: object.id.to_string() }
}

async fn part(yard: &Yard, upload: &Upload, number: i64, text: &'static str) -> (i64, String) {
    let piece = put_part(&yard.engine, &yard.admin, upload, number, None, bytes(text)).await.unwrap();
    (number, piece.etag)
}

both! {
    async fn parts_in_any_order_are_one_object_once_they_are_completed(db) {
        let yard = Yard::on(db).await;
        yard.put("k", "before").await;
        let upload = begun(&yard, "k").await;
        let three = part(&yard, &upload, 3, "789").await;
        let one = part(&yard, &upload, 1, "1234").await;
        let five = part(&yard, &upload, 5, "not wanted").await;
        let two = part(&yard, &upload, 2, "wrong").await;
        let again = part(&yard, &upload, 2, "56").await;
        assert_eq!(yard.read("k").await, "before", "nothing is to be seen of it yet");
        assert_ne!(two.1, again.1);
        let wanted = vec![one, again, three];
        let object = complete(&yard.engine, &yard.admin, &upload, Some(wanted.clone()), false).await.unwrap();
        assert_eq!((object.size, object.crc64), (9, Some(0x995d_c9bb_df19_39fa)), "the CRC is that of the whole");
        assert!(object.etag.ends_with("-3") && object.etag.len() == 34, "{}", object.etag);
        assert_eq!(yard.read("k").await, "123456789");
        assert_eq!(yard.range("k", 3..8).await, "45678");
        assert_eq!(yard.range("k", 4..5).await, "5");
        assert_eq!(yard.stored().await, 9, "what was replaced or not named is gone: {five:?}");
        let repeated = complete(&yard.engine, &yard.admin, &upload, Some(wanted), false).await.unwrap();
        assert_eq!(repeated, object, "a lost answer is asked for again");
        let late = put_part(&yard.engine, &yard.admin, &upload, 1, None, bytes("late")).await.unwrap_err();
        assert!(matches!(&late, Error::NotFound { noun: "upload", .. }), "{late}");
        assert_eq!(yard.stored().await, 9);
    }

    async fn an_upload_goes_on_after_a_restart_with_what_has_arrived(db) {
        let yard = Yard::on(db.clone()).await;
        let upload = begun(&yard, "k").await;
        let one = part(&yard, &upload, 1, "one ").await;
        let again = engine_on(db, yard.clock.clone(), yard.folder.path());
        let (object, there) = parts(&again, &yard.admin, &upload, 0, 100).await.unwrap();
        assert_eq!((object.key.as_str(), there.len(), there[0].etag.as_str()), ("k", 1, one.1.as_str()));
        let two = put_part(&again, &yard.admin, &upload, 2, None, bytes("two")).await.unwrap();
        let (_, behind) = parts(&again, &yard.admin, &upload, 1, 100).await.unwrap();
        assert_eq!(behind, [two]);
        complete(&again, &yard.admin, &upload, None, false).await.unwrap();
        assert_eq!(yard.read("k").await, "one two");
    }

    async fn what_cannot_be_completed_stays_as_it_was(db) {
        let yard = Yard::on(db).await;
        let upload = begun(&yard, "k").await;
        let nothing = complete(&yard.engine, &yard.admin, &upload, None, false).await.unwrap_err();
        assert!(nothing.to_string().contains("nothing was uploaded yet"), "{nothing}");
        let (one, two) = (part(&yard, &upload, 1, "1").await, part(&yard, &upload, 2, "2").await);
        for (wanted, code, words) in [
            (vec![], "invalid_part", "no part was named"),
            (vec![two.clone(), one.clone()], "invalid_part_order", "part 1 follows part 2"),
            (vec![one.clone(), one.clone()], "invalid_part_order", "once"),
            (vec![one.clone(), (3, two.1.clone())], "invalid_part", "part 3 is not there"),
            (vec![one.clone(), (2, one.1.clone())], "invalid_part", "part 2 has the ETag"),
        ] {
            let refused = complete(&yard.engine, &yard.admin, &upload, Some(wanted), false).await.unwrap_err();
            assert!(matches!(&refused, Error::Conflict { code: own, .. } if *own == code), "{refused}");
            assert!(refused.to_string().contains(words), "{refused}");
        }
        yard.put("k", "other").await;
        let refused = complete(&yard.engine, &yard.admin, &upload, None, true).await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict { code: "file_exists", .. }), "{refused}");
        let quoted = vec![(1, format!("\"{}\"", one.1.to_lowercase())), two];
        complete(&yard.engine, &yard.admin, &upload, Some(quoted), false).await.unwrap();
        assert_eq!(yard.read("k").await, "12");
    }

    async fn an_upload_that_is_given_up_frees_its_parts(db) {
        let yard = Yard::on(db).await;
        let upload = begun(&yard, "k").await;
        part(&yard, &upload, 1, "one").await;
        abort(&yard.engine, &yard.admin, &upload).await.unwrap();
        assert_eq!(yard.stored().await, 0);
        for refused in [
            abort(&yard.engine, &yard.admin, &upload).await,
            parts(&yard.engine, &yard.admin, &upload, 0, 9).await.map(drop),
            complete(&yard.engine, &yard.admin, &upload, None, false).await.map(drop),
            abort(&yard.engine, &yard.admin, &Upload { id: "nonsense".into(), ..upload.clone() }).await,
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(&refused, Error::NotFound { noun: "upload", .. }), "{refused}");
        }
        let other = begun(&yard, "k").await;
        let wrong = Upload { key: "l".into(), ..other.clone() };
        let refused = abort(&yard.engine, &yard.admin, &wrong).await.unwrap_err();
        assert!(matches!(&refused, Error::NotFound { .. }), "an upload is for one key: {refused}");
        for number in [0, -1, PARTS_MAX + 1] {
            let refused = put_part(&yard.engine, &yard.admin, &other, number, None, bytes("x")).await.unwrap_err();
            assert!(refused.to_string().contains("1 to 10000"), "{refused}");
        }
    }

    async fn bytes_of_objects_can_be_parts(db) {
        let yard = Yard::on(db).await;
        let source = yard.put("source", "0123456789").await;
        let upload = begun(&yard, "k").await;
        for (number, range) in [(1, Some(2..5)), (2, None)] {
            copy_part(&yard.engine, &yard.admin, &upload, number, &source, range).await.unwrap();
        }
        let beyond = copy_part(&yard.engine, &yard.admin, &upload, 3, &source, Some(5..11)).await.unwrap_err();
        assert!(beyond.to_string().contains("has 10 bytes"), "{beyond}");
        complete(&yard.engine, &yard.admin, &upload, None, false).await.unwrap();
        assert_eq!(yard.read("k").await, "2340123456789");
    }

    async fn uploads_are_listed_behind_a_key_or_behind_one_of_its_uploads(db) {
        let yard = Yard::on(db).await;
        let (one, two, three) = (begun(&yard, "a").await, begun(&yard, "a").await, begun(&yard, "b").await);
        let list = async |prefix: &str, after: (&str, &str)| {
            let found = uploads(&yard.engine, &yard.admin, "data", prefix, after, 9).await.unwrap();
            found.into_iter().map(|upload| upload.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list("", ("", "")).await, [one.id.clone(), two.id.clone(), three.id.clone()]);
        assert_eq!(list("", ("a", "")).await, [three.id.as_str()]);
        assert_eq!(list("", ("a", &one.id)).await, [two.id.clone(), three.id.clone()]);
        assert_eq!(list("a", ("", "")).await, [one.id, two.id]);
    }
}
