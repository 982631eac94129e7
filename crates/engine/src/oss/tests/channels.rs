//! What runs read from buckets and write there: announced, sent, all there at once.

use runyard_domain::checkpoint::{PART_BYTES, WHOLE_BYTES, parts as cut};
use runyard_objects::{Checksum, ChecksumKind, Signed, SignedRequest};
use sha2::{Digest, Sha256};

use super::{
    super::{channel::*, multipart},
    *,
};
use crate::file_set::{
    complete::SentFile,
    upload::{NewFile, NewPart},
};

fn sha256(bytes: &[u8]) -> String {
    crate::idempotent::hex(&Sha256::digest(bytes))
}

fn file(path: &str, bytes: &[u8]) -> NewFile {
    NewFile { path: path.into(), size: bytes.len() as i64, sha256: sha256(bytes), ..NewFile::default() }
}

fn sent(paths: &[&str]) -> Vec<SentFile> {
    paths.iter().map(|path| SentFile { path: (*path).into(), ..SentFile::default() }).collect()
}

/// Does what an address allows.
async fn follow(yard: &Yard, signed: &Signed, bytes: Vec<u8>) {
    let path = signed.url.strip_prefix("http://127.0.0.1:7878").unwrap();
    let headers = signed.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let allowed = yard.engine.objects.verify_signed(signed.method, path, &headers.collect()).unwrap();
    let SignedRequest::Put(put) = allowed else { panic!("{allowed:?}") };
    let stream = stream::iter([Ok::<_, io::Error>(Bytes::from(bytes))]);
    yard.engine.objects.put_signed(&put, stream).await.unwrap();
}

const PLACE: (&str, &str) = ("data", "out/");

both! {
    async fn files_of_a_channel_are_in_the_bucket_all_at_once_when_all_were_sent(db) {
        let yard = Yard::on(db).await;
        let (a, b) = (b"alpha".as_slice(), b"".as_slice());
        let files = vec![file("a.txt", a), file("sub/empty", b)];
        let addresses = begin_put(&yard.engine, yard.project, PLACE, "job/out", files.clone()).await.unwrap();
        assert!(addresses.iter().all(|address| !address.done && address.put.is_some() && address.parts.is_empty()));
        follow(&yard, addresses[0].put.as_ref().unwrap(), a.to_vec()).await;
        let early = commit_put(&yard.engine, yard.project, PLACE, "job/out", sent(&["a.txt", "sub/empty"])).await;
        let early = early.unwrap_err();
        assert!(matches!(&early, Error::Conflict { code: "incomplete", .. }), "{early}");
        assert!(early.to_string().contains("`out/sub/empty`") && !early.to_string().contains("a.txt"), "{early}");
        assert_eq!(yard.names("", "", start(), 9).await.0, [] as [&str; 0]);

        let again = begin_put(&yard.engine, yard.project, PLACE, "job/out", files.clone()).await.unwrap();
        assert!(again[0].done && !again[1].done, "what has arrived is not sent again");
        follow(&yard, again[1].put.as_ref().unwrap(), b.to_vec()).await;
        for _ in 0..2 {
            commit_put(&yard.engine, yard.project, PLACE, "job/out", sent(&["a.txt", "sub/empty"])).await.unwrap();
            assert_eq!(yard.names("", "", start(), 9).await.0, ["out/a.txt", "out/sub/empty"]);
        }
        assert_eq!(yard.read("out/a.txt").await, "alpha");
        let done = begin_put(&yard.engine, yard.project, PLACE, "job/out", files).await.unwrap();
        assert!(done.iter().all(|address| address.done), "a repeat after all was done sends nothing");
        let (_, object) = read::find(&yard.engine, &yard.admin, "data", "out/a.txt").await.unwrap();
        assert_eq!((object.sha256, object.crc64), (Some(sha256(a)), None), "a CRC that nobody made is not said");
        assert_eq!(yard.stored().await, 5);
    }

    async fn a_file_that_changed_takes_the_place_of_what_was_announced(db) {
        let yard = Yard::on(db).await;
        yard.put("out/a", "of somebody else").await;
        let first = begin_put(&yard.engine, yard.project, PLACE, "s", vec![file("a", b"one")]).await.unwrap();
        follow(&yard, first[0].put.as_ref().unwrap(), b"one".to_vec()).await;
        let second = begin_put(&yard.engine, yard.project, PLACE, "s", vec![file("a", b"second")]).await.unwrap();
        assert!(!second[0].done);
        assert_eq!(yard.read("out/a").await, "of somebody else");
        follow(&yard, second[0].put.as_ref().unwrap(), b"second".to_vec()).await;
        commit_put(&yard.engine, yard.project, PLACE, "s", sent(&["a"])).await.unwrap();
        assert_eq!(yard.read("out/a").await, "second");
        assert_eq!(yard.stored().await, 6);
    }

    async fn a_large_file_goes_in_parts_and_is_read_by_one_address(db) {
        let yard = Yard::on(db).await;
        let size = WHOLE_BYTES + 3;
        let whole: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        let piece = |(at, size): (i64, i64)| whole[at as usize..(at + size) as usize].to_vec();
        let announced = cut(size).map(|at| NewPart { size: at.1, sha256: Some(sha256(&piece(at))), ..NewPart::default() });
        let large = NewFile { path: "w".into(), size, parts: announced.collect(), ..NewFile::default() };
        let upload = begin_put(&yard.engine, yard.project, PLACE, "s", vec![large.clone()]).await.unwrap().remove(0);
        assert_eq!(upload.parts.iter().map(|part| part.size).collect::<Vec<_>>(), [PART_BYTES, PART_BYTES, 3]);
        for part in upload.parts.iter().rev().take(2) {
            follow(&yard, part.put.as_ref().unwrap(), piece((part.offset, part.size))).await;
        }
        let rest = begin_put(&yard.engine, yard.project, PLACE, "s", vec![large]).await.unwrap().remove(0);
        let missing: Vec<i64> = rest.parts.iter().filter(|part| part.put.is_some()).map(|part| part.number).collect();
        assert_eq!(missing, [1]);
        follow(&yard, rest.parts[0].put.as_ref().unwrap(), piece((0, PART_BYTES))).await;
        let digest = sha256(&whole);
        let said = SentFile { path: "w".into(), sha256: Some(digest.clone()), ..SentFile::default() };
        commit_put(&yard.engine, yard.project, PLACE, "s", vec![said]).await.unwrap();

        let object = find(&yard.engine, yard.project, "data", "out/w").await.unwrap();
        assert_eq!((object.size, object.sha256.as_deref()), (size, Some(digest.as_str())));
        let address = sign_get(&yard.engine, &object, 60).await.unwrap();
        let (id, rest) = address.url.strip_prefix("http://127.0.0.1:7878/oss-objects/").unwrap().split_once('?').unwrap();
        let (expires, signature) = rest.strip_prefix("expires=").unwrap().split_once("&signature=").unwrap();
        let (id, expires) = (id.parse().unwrap(), Millis(expires.parse().unwrap()));
        let led = by_address(&yard.engine, id, expires, signature).await.unwrap();
        let bytes: Vec<Bytes> =
            read::read(&yard.engine, &led, 0..u64::MAX).await.unwrap().try_collect().await.unwrap();
        assert!(bytes.concat() == whole, "the same bytes in the same order");
        for (id, expires, signature) in [
            (id, expires.plus(1), signature),
            (yard.engine.id(BucketObjectId::new), expires, signature),
            (id, expires, "00"),
            (id, expires, "ü"),
            (id, expires, ""),
        ] {
            let refused = by_address(&yard.engine, id, expires, signature).await.unwrap_err();
            assert!(refused.to_string().contains("not signed by this server"), "{refused}");
        }
        yard.later(60_000);
        let refused = by_address(&yard.engine, id, expires, signature).await.unwrap_err();
        assert!(refused.to_string().contains("has expired"), "{refused}");
    }

    async fn what_a_channel_reads_is_listed_and_signed(db) {
        let yard = Yard::on(db).await;
        for (key, text) in [("in/a", "one"), ("in/b", "two"), ("other", "three")] {
            yard.put(key, text).await;
        }
        let found = list(&yard.engine, yard.project, "data", "in/", "", 10).await.unwrap();
        assert_eq!(found.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["in/a", "in/b"]);
        let behind = list(&yard.engine, yard.project, "data", "in/", "in/a", 10).await.unwrap();
        assert_eq!(behind.len(), 1);
        assert_eq!(found[0].sha256.as_deref(), Some(&*sha256(b"one")));
        let address = sign_get(&yard.engine, &found[0], 60).await.unwrap();
        let path = address.url.strip_prefix("http://127.0.0.1:7878").unwrap();
        let allowed = yard.engine.objects.verify_signed("GET", path, &std::iter::empty().collect()).unwrap();
        assert!(matches!(allowed, SignedRequest::Get(_)), "{allowed:?}");
        yard.put("in/a", "newer").await;
        let gone = sign_get(&yard.engine, &found[0], 60).await.unwrap_err();
        assert!(matches!(&gone, Error::NotFound { noun: "object", .. }), "{gone}");
    }

    async fn wrong_channels_are_refused_by_name(db) {
        let yard = Yard::on(db).await;
        let Scope::Project(other) = yard.stranger().await.scope else { panic!() };
        yard.put("k", "x").await;
        for refused in [
            find(&yard.engine, other, "data", "k").await.map(drop),
            list(&yard.engine, other, "data", "", "", 9).await.map(drop),
            begin_put(&yard.engine, other, PLACE, "s", vec![file("a", b"x")]).await.map(drop),
            commit_put(&yard.engine, other, PLACE, "s", sent(&["a"])).await,
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(&refused, Error::Forbidden(why) if why.contains("another project")), "{refused}");
        }
        let never = commit_put(&yard.engine, yard.project, PLACE, "s", sent(&["a"])).await.unwrap_err();
        assert!(never.to_string().contains("`out/a` was never announced"), "{never}");
        let wrong = NewFile { path: "../a".into(), sha256: "x".into(), ..NewFile::default() };
        let wrong = begin_put(&yard.engine, yard.project, PLACE, "s", vec![wrong]).await.unwrap_err().to_string();
        assert!(wrong.contains("files.0.path") && wrong.contains("files.0.sha256"), "{wrong}");
        let named = begin_put(&yard.engine, yard.project, ("API", ""), "s", vec![file("a", b"x")]).await;
        assert!(named.unwrap_err().to_string().contains("3 to 63 lower-case letters"));
        let none = find(&yard.engine, yard.project, "nothing", "k").await.unwrap_err();
        assert!(matches!(&none, Error::NotFound { noun: "bucket", .. }), "{none}");
        let md5 = Checksum::from_hex(ChecksumKind::Md5, &yard.put("k", "x").await.etag);
        assert!(md5.is_some());
        let begun = multipart::begin(&yard.engine, &yard.admin, new("up")).await.unwrap();
        let foreign = multipart::Upload { bucket: "data".into(), key: "up".into(), id: begun.id.to_string() };
        let refused = multipart::abort(&yard.engine, &of_project(other), &foreign).await.unwrap_err();
        assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    }
}
