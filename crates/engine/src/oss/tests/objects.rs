//! Objects whole: put, read, replaced, copied, listed, deleted; buckets and whose they are.

use super::*;

both! {
    async fn what_was_put_is_read_back_with_its_digests(db) {
        let yard = Yard::on(db).await;
        let headers = [("content-type".to_owned(), "text/plain".to_owned())].into();
        let object = put::put(&yard.engine, &yard.admin, NewObject { headers, ..new("a/ü b") }, bytes("123456789"))
            .await
            .unwrap();
        assert_eq!((object.size, object.etag.as_str()), (9, "25F9E794323B453885F5181F1B624D0B"));
        assert_eq!(object.crc64, Some(0x995d_c9bb_df19_39fa));
        let (bucket, found) = read::find(&yard.engine, &yard.admin, "data", "a/ü b").await.unwrap();
        assert_eq!((bucket.project_id, &found), (yard.project, &object));
        assert_eq!(yard.read("a/ü b").await, "123456789");
        assert_eq!(yard.range("a/ü b", 2..4).await, "34");
        assert_eq!(yard.range("a/ü b", 9..20).await, "");
        let empty = yard.put("empty", "").await;
        assert_eq!((empty.size, empty.crc64, yard.read("empty").await.as_str()), (0, Some(0), ""));
    }

    async fn the_last_put_counts_and_frees_the_bytes_of_the_one_before(db) {
        let yard = Yard::on(db).await;
        yard.put("k", "first").await;
        let second = yard.put("k", "the second").await;
        assert_eq!(yard.read("k").await, "the second");
        assert_eq!(yard.stored().await, 10);
        let refused = put::put(&yard.engine, &yard.admin, NewObject { forbid_overwrite: true, ..new("k") }, bytes("3"));
        let refused = refused.await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict { code: "file_exists", .. }), "{refused}");
        let wrong = put::put(&yard.engine, &yard.admin, NewObject { md5: Some([7; 16]), ..new("k") }, bytes("4"));
        let wrong = wrong.await.unwrap_err();
        assert!(matches!(&wrong, Error::Conflict { code: "wrong_digest", .. }), "{wrong}");
        assert!(wrong.to_string().contains("nothing was stored"), "{wrong}");
        let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("gone"))]);
        put::put(&yard.engine, &yard.admin, new("k"), broken).await.unwrap_err();
        assert_eq!(yard.stored().await, 10, "what was refused left nothing");
        assert_eq!(read::find(&yard.engine, &yard.admin, "data", "k").await.unwrap().1, second);
    }

    async fn a_reader_has_the_whole_object_that_it_began_to_read(db) {
        let yard = Yard::on(db).await;
        let old = yard.put("k", "the old one").await;
        let reading = read::read(&yard.engine, &old, 0..u64::MAX).await.unwrap();
        yard.put("k", "new").await;
        assert_eq!(yard.stored().await, 3);
        let read: Vec<Bytes> = reading.try_collect().await.unwrap();
        assert_eq!(read.concat(), b"the old one");
        let gone = read::read(&yard.engine, &old, 0..u64::MAX).await.err().unwrap();
        assert!(matches!(&gone, Error::NotFound { noun: "object", .. }), "{gone}");
    }

    async fn deleting_frees_and_may_be_repeated(db) {
        let yard = Yard::on(db).await;
        for key in ["a", "b", "c"] {
            yard.put(key, "four").await;
        }
        for _ in 0..2 {
            let keys = ["a", "c", "never", "zero\0"].map(str::to_owned).to_vec();
            delete::delete(&yard.engine, &yard.admin, "data", keys).await.unwrap();
        }
        assert_eq!(yard.names("", "", start(), 9).await, (vec!["b".to_owned()], false));
        assert_eq!(yard.stored().await, 4);
        let many = vec!["x".to_owned(); KEYS_MAX + 1];
        let refused = delete::delete(&yard.engine, &yard.admin, "data", many).await.unwrap_err();
        assert!(refused.to_string().contains("at most 1000"), "{refused}");
        let none = delete::delete(&yard.engine, &yard.admin, "nothing", vec!["x".into()]).await.unwrap_err();
        assert!(matches!(&none, Error::NotFound { noun: "bucket", .. }), "{none}");
    }

    async fn a_copy_outlives_what_it_was_made_of_and_may_have_other_headers(db) {
        let yard = Yard::on(db).await;
        let headers = [("x-oss-meta-a".to_owned(), "1".to_owned())].into();
        let source = put::put(&yard.engine, &yard.admin, NewObject { headers, ..new("from") }, bytes("copy me"));
        let source = source.await.unwrap();
        let copied = put::copy(&yard.engine, &yard.admin, &source, new("to"), true).await.unwrap();
        assert_eq!((copied.etag, copied.crc64, copied.headers), (source.etag.clone(), source.crc64, source.headers.clone()));
        let bare = put::copy(&yard.engine, &yard.admin, &source, new("from"), false).await.unwrap();
        assert!(bare.headers.is_empty(), "{bare:?}");
        assert_eq!(yard.read("from").await, "copy me");
        delete::delete(&yard.engine, &yard.admin, "data", vec!["from".into()]).await.unwrap();
        assert_eq!(yard.stored().await, 7);
        assert_eq!(yard.read("to").await, "copy me");
        let gone = put::copy(&yard.engine, &yard.admin, &source, new("late"), true).await.unwrap_err();
        assert!(matches!(&gone, Error::NotFound { noun: "object", .. }), "{gone}");
        let none = put::source(&yard.engine, &yard.admin, "data", "from").await.unwrap_err();
        assert!(matches!(&none, Error::NotFound { noun: "object", .. }), "{none}");
    }

    async fn a_list_goes_on_where_it_was_and_folds_what_is_below_a_prefix(db) {
        let yard = Yard::on(db).await;
        for key in ["a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "d"] {
            yard.put(key, "x").await;
        }
        let all = ["a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "d"].map(str::to_owned).to_vec();
        assert_eq!(yard.names("", "", start(), 100).await, (all.clone(), false));
        let (mut seen, mut after) = (Vec::new(), start());
        loop {
            let (page, more) = yard.names("", "", after, 2).await;
            after = After::Entry(page.last().unwrap().clone());
            seen.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(seen, all);
        let folded = ["[a/]", "b", "[c/]", "d"].map(str::to_owned).to_vec();
        assert_eq!(yard.names("", "/", start(), 100).await, (folded.clone(), false));
        assert_eq!(yard.names("", "/", start(), 1).await, (folded[..1].to_vec(), true));
        assert_eq!(yard.names("", "/", After::Entry("a/".into()), 2).await, (folded[1..3].to_vec(), true));
        assert_eq!(yard.names("", "/", After::Entry("c/".into()), 2).await, (folded[3..].to_vec(), false));
        assert_eq!(yard.names("", "/", After::Key("a/1".into()), 1).await, (folded[..1].to_vec(), true));
        assert_eq!(yard.names("a/", "/", start(), 9).await.0, ["a/1", "a/2", "[a/b/]"]);
        assert_eq!(yard.names("a/", "b", start(), 9).await.0, ["a/1", "a/2", "[a/b]"]);
        assert_eq!(yard.names("", "", start(), 0).await, (vec![], false));
        assert_eq!(yard.names("x", "", start(), 9).await, (vec![], false));
    }

    async fn a_bucket_is_made_by_who_writes_and_is_of_their_project(db) {
        let yard = Yard::on(db).await;
        let stranger = yard.stranger().await;
        yard.put("k", "x").await;
        for refused in [
            read::find(&yard.engine, &stranger, "data", "k").await.map(drop),
            put::put(&yard.engine, &stranger, new("k"), bytes("y")).await.map(drop),
            delete::delete(&yard.engine, &stranger, "data", vec!["k".into()]).await,
            bucket::get(&yard.engine, &stranger, "data").await.map(drop),
            bucket::ensure(&yard.engine, &stranger, "data").await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(&refused, Error::Forbidden(why) if why.contains("another project")), "{refused}");
        }
        let run = Actor { scope: Scope::Run(yard.project, yard.engine.id(RunId::new)), ..yard.admin.clone() };
        assert!(read::find(&yard.engine, &run, "data", "k").await.is_ok(), "a job reads what its project has");
        let refused = put::put(&yard.engine, &run, new("k"), bytes("y")).await.unwrap_err();
        assert!(refused.to_string().contains("output channels"), "{refused}");
        let theirs = bucket::ensure(&yard.engine, &stranger, "theirs").await.unwrap();
        assert_eq!(Scope::Project(theirs.project_id), stranger.scope);
        let names = |found: Vec<Bucket>| found.into_iter().map(|bucket| bucket.name).collect::<Vec<_>>();
        assert_eq!(names(bucket::list(&yard.engine, &yard.admin, "", "", 9).await.unwrap()), ["data", "theirs"]);
        assert_eq!(names(bucket::list(&yard.engine, &stranger, "", "", 9).await.unwrap()), ["theirs"]);
        let missing = read::find(&yard.engine, &yard.admin, "nothing", "k").await.unwrap_err();
        assert!(matches!(&missing, Error::NotFound { noun: "bucket", .. }), "{missing}");
    }

    async fn a_bucket_goes_when_it_is_empty_and_its_project_not_before(db) {
        let yard = Yard::on(db).await;
        let stranger = yard.stranger().await;
        let mine = NewObject { bucket: "theirs".into(), ..new("k") };
        put::put(&yard.engine, &stranger, mine, bytes("x")).await.unwrap();
        bucket::ensure(&yard.engine, &stranger, "empty").await.unwrap();
        let refused = bucket::delete(&yard.engine, &stranger, "theirs").await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict { code: "bucket_not_empty", .. }), "{refused}");
        let refused = crate::project::delete(&yard.engine, &yard.admin, "other").await.unwrap_err();
        assert!(refused.to_string().contains("still has the bucket `theirs`"), "{refused}");
        delete::delete(&yard.engine, &stranger, "theirs", vec!["k".into()]).await.unwrap();
        bucket::delete(&yard.engine, &stranger, "theirs").await.unwrap();
        let gone = bucket::delete(&yard.engine, &stranger, "theirs").await.unwrap_err();
        assert!(matches!(&gone, Error::NotFound { noun: "bucket", .. }), "{gone}");
        crate::project::delete(&yard.engine, &yard.admin, "other").await.unwrap();
    }

    async fn wrong_names_say_what_a_name_looks_like(db) {
        let yard = Yard::on(db).await;
        for (bucket, key, words) in [
            ("Data", "k", "3 to 63 lower-case letters"),
            ("api", "k", "own addresses begin so"),
            ("data", "", "1 to 1023 bytes"),
            ("data", "/k", "does not begin with `/`"),
            ("data", "a\0b", "no zero byte"),
        ] {
            let new = NewObject { bucket: bucket.into(), key: key.into(), ..NewObject::default() };
            let refused = put::put(&yard.engine, &yard.admin, new, bytes("x")).await.unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
        let headers = [("x-oss-meta-a".to_owned(), "x".repeat(9_000))].into();
        let refused = put::put(&yard.engine, &yard.admin, NewObject { headers, ..new("k") }, bytes("x"));
        let refused = refused.await.unwrap_err().to_string();
        assert!(refused.contains("at most 8192 are kept"), "{refused}");
        assert_eq!(yard.stored().await, 0);
    }

    async fn writers_of_one_key_follow_each_other_and_leave_one_object(db) {
        let yard = Yard::on(db).await;
        let texts = ["a", "bb", "ccc"].into_iter().cycle().take(12);
        // The first of them makes the bucket too.
        let puts = texts.map(|text| put::put(&yard.engine, &yard.admin, new("k"), bytes(text)));
        let put: Vec<Object> = futures::future::try_join_all(puts).await.unwrap();
        let (_, left) = read::find(&yard.engine, &yard.admin, "data", "k").await.unwrap();
        assert!(put.contains(&left), "{left:?}");
        assert_eq!(yard.read("k").await.len() as i64, left.size);
        assert_eq!(yard.stored().await, left.size.cast_unsigned());
        assert_eq!(bucket::list(&yard.engine, &yard.admin, "", "", 9).await.unwrap().len(), 1);
    }
}
