//! What of buckets is freed, and what is never freed too early.

use super::{super::multipart, *};

const DAY_MS: i64 = 24 * 3600 * 1000;

both! {
    async fn bytes_that_no_row_knows_are_freed_and_others_stay(db) {
        let yard = Yard::on(db).await;
        let object = yard.put("k", "kept").await;
        // As a server leaves it that was killed before it wrote the row.
        let lost = format!("{}/1", place(object.bucket_id, yard.engine.id(BucketObjectId::new)));
        let stray = format!("{}/2", place(object.bucket_id, object.id));
        for key in [&lost, &stray] {
            yard.engine.objects.put_stream(key, bytes("lost"), 9).await.unwrap();
        }
        let upload = multipart::begin(&yard.engine, &yard.admin, new("u")).await.unwrap();
        let under_way = format!("{}/1-x", place(upload.bucket_id, upload.id));
        yard.engine.objects.put_stream(&under_way, bytes("coming"), 9).await.unwrap();
        // Files have the time of this machine.
        let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        yard.clock.0.store(real + 2 * DAY_MS, Ordering::Relaxed);
        crate::garbage::gc::orphans(&yard.engine, false).await.unwrap();
        let left = yard.engine.objects.list("oss").await.unwrap();
        let left: Vec<&str> = left.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(!left.contains(&lost.as_str()) && !left.contains(&stray.as_str()), "{left:?}");
        assert_eq!(yard.read("k").await, "kept");
    }

    async fn an_upload_that_nobody_goes_on_with_is_given_up(db) {
        let yard = Yard::on(db).await;
        let begun = multipart::begin(&yard.engine, &yard.admin, new("k")).await.unwrap();
        let upload = multipart::Upload { bucket: "data".into(), key: "k".into(), id: begun.id.to_string() };
        yard.later(6 * DAY_MS);
        multipart::put_part(&yard.engine, &yard.admin, &upload, 1, None, bytes("x")).await.unwrap();
        yard.later(6 * DAY_MS);
        crate::garbage::sweep(&yard.engine).await.unwrap();
        assert_eq!(yard.stored().await, 1, "somebody went on with it");
        yard.later(2 * DAY_MS);
        crate::garbage::sweep(&yard.engine).await.unwrap();
        assert_eq!(yard.stored().await, 0);
        let gone = multipart::parts(&yard.engine, &yard.admin, &upload, 0, 9).await.unwrap_err();
        assert!(matches!(&gone, Error::NotFound { noun: "upload", .. }), "{gone}");
    }

    async fn an_object_in_parts_can_be_read_to_its_end_after_it_was_replaced(db) {
        let yard = Yard::on(db).await;
        let begun = multipart::begin(&yard.engine, &yard.admin, new("k")).await.unwrap();
        let upload = multipart::Upload { bucket: "data".into(), key: "k".into(), id: begun.id.to_string() };
        for (number, text) in [(1, "one "), (2, "two")] {
            multipart::put_part(&yard.engine, &yard.admin, &upload, number, None, bytes(text)).await.unwrap();
        }
        let object = multipart::complete(&yard.engine, &yard.admin, &upload, None, false).await.unwrap();
        let reading = read::read(&yard.engine, &object, 0..u64::MAX).await.unwrap();
        yard.put("k", "new").await;
        assert_eq!(yard.stored().await, 10);
        let read: Vec<Bytes> = reading.try_collect().await.unwrap();
        assert_eq!(read.concat(), b"one two");
        yard.later(READ_MS);
        assert_eq!(yard.stored().await, 3);
    }
}
