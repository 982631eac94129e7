use std::{fs, path::Path, sync::Arc, sync::OnceLock};

use futures::{StreamExt, TryStreamExt, stream};
use runyard_domain::{ProjectId, token::Scope};

use super::*;
use crate::{OpenOptions, garbage, open, token};

fn admin() -> Actor {
    Actor { token_id: None, name: "ann".to_owned(), scope: Scope::Admin }
}

async fn server(data: &Path) -> Engine {
    fs::create_dir_all(data).unwrap();
    let engine = open(OpenOptions {
        data: data.to_owned(),
        database: None,
        objects: None,
        runner: "runyard".into(),
        cpu_milli: None,
        memory_bytes: None,
        max_log_bytes: 1 << 30,
        instance_types: Vec::new(),
        containers: None,
        keep: garbage::gc::Keep::default(),
        allow_network_filesystem: true,
        url: Arc::new(OnceLock::from("http://127.0.0.1:1".to_owned())),
    })
    .await
    .unwrap();
    let secret = token::new_secret(&engine);
    fs::write(data.join("token"), &secret).unwrap();
    token::ensure_admin(&engine, &secret).await.unwrap();
    engine
}

/// Sources of these texts.
async fn put(engine: &Engine, texts: &[&'static str]) -> Vec<String> {
    let mut digests = Vec::new();
    for text in texts {
        let bytes = stream::iter([Ok::<_, io::Error>(Bytes::from_static(text.as_bytes()))]);
        digests.push(source::put(engine, &admin(), bytes).await.unwrap().digest);
    }
    digests
}

async fn backed_up(engine: &Engine, file: &Path) {
    let pieces: Vec<Bytes> = write(engine, &admin()).await.unwrap().try_collect().await.unwrap();
    fs::write(file, pieces.concat()).unwrap();
}

fn wanted(file: &Path, data: &Path) -> Restore {
    Restore { file: file.to_owned(), data: data.to_owned(), database: None, allow_network_filesystem: true }
}

#[tokio::test]
async fn what_is_restored_is_what_was_there() {
    let home = tempfile::tempdir().unwrap();
    let (data, file, other) = (home.path().join("a"), home.path().join("file"), home.path().join("b"));
    let engine = server(&data).await;
    let digests = put(&engine, &["one", "two"]).await;
    // A row whose object somebody lost is said, and no reason to have no backup at all.
    fs::remove_file(data.join("objects").join(source::key(&digests[1]))).unwrap();
    backed_up(&engine, &file).await;
    engine.db.close().await;
    let found = inspect(&file).unwrap();
    assert_eq!((found.tail.objects, found.tail.bytes, found.tail.missing), (1, 3, 1));
    assert_eq!(found.missing, [source::key(&digests[1])]);
    assert_eq!((found.head.bucket.as_deref(), found.head.database.as_str()), (None, "sqlite"));

    assert_eq!(restore(wanted(&file, &other)).await.unwrap(), found);
    for name in PRIVATE {
        assert_eq!(fs::read(data.join(name)).unwrap(), fs::read(other.join(name)).unwrap());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(other.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let secret = fs::read_to_string(other.join("token")).unwrap();
    let restored = server_as_it_is(&other).await;
    assert_eq!(token::authenticate(&restored, &secret).await.unwrap().scope, Scope::Admin);
    let (source, bytes) = source::get(&restored, &digests[0]).await.unwrap();
    assert_eq!(source.size, 3);
    assert_eq!(bytes.try_collect::<Vec<_>>().await.unwrap().concat(), b"one");
    restored.db.close().await;
}

async fn server_as_it_is(data: &Path) -> Engine {
    let secret = fs::read(data.join("token")).unwrap();
    let engine = server(data).await;
    fs::write(data.join("token"), secret).unwrap();
    engine
}

#[tokio::test]
async fn a_restore_touches_nothing_that_is_there_and_leaves_nothing_half() {
    let home = tempfile::tempdir().unwrap();
    let (data, file, other) = (home.path().join("a"), home.path().join("file"), home.path().join("b"));
    let engine = server(&data).await;
    put(&engine, &["one"]).await;
    backed_up(&engine, &file).await;
    engine.db.close().await;

    let error = restore(wanted(&file, &data)).await.unwrap_err().to_string();
    assert!(error.contains("is not empty") && error.contains("--data DIR"), "{error}");
    let whole = fs::read(&file).unwrap();
    let damaged = home.path().join("damaged");
    let mut changed = whole.clone();
    let at = changed.windows(3).position(|three| three == b"one").unwrap();
    changed[at] = b'O';
    for (bytes, why) in [(&whole[..whole.len() / 2], "it ends"), (&changed, "is not what was written")] {
        fs::write(&damaged, bytes).unwrap();
        let error = restore(wanted(&damaged, &other)).await.unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("nothing was restored"), "{error}");
        assert!(!other.exists() && !home.path().join("b.restoring").exists());
    }
    let error = restore(wanted(&home.path().join("nowhere"), &other)).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");

    // What a killed restore left goes; an empty folder is as good as none.
    fs::create_dir(home.path().join("b.restoring")).unwrap();
    fs::write(home.path().join("b.restoring/rows.zst"), "half").unwrap();
    fs::create_dir(&other).unwrap();
    restore(wanted(&file, &other)).await.unwrap();
    assert!(!home.path().join("b.restoring").exists() && !other.join("rows.zst").exists());
    assert!(other.join("runyard.db").exists());
}

#[tokio::test]
async fn a_backup_of_a_newer_program_is_refused_with_its_version() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    let mut writer = Writer::new(fs::File::create(&file).unwrap(), tempfile::tempfile().unwrap());
    let head = Head {
        format: FORMAT,
        version: "9.8.7".to_owned(),
        schema: dump::newest() + 1,
        created_at: 1,
        database: "sqlite".to_owned(),
        bucket: None,
    };
    let bytes = json(&head).unwrap();
    writer.piece(HEAD, bytes.len() as u64, bytes.as_slice()).unwrap();
    writer.finish().unwrap();
    let error = restore(wanted(&file, &home.path().join("b"))).await.unwrap_err().to_string();
    assert!(error.contains("runyard 9.8.7") && error.contains("newer"), "{error}");
}

#[tokio::test]
async fn nothing_is_freed_while_a_backup_may_read_it() {
    let home = tempfile::tempdir().unwrap();
    let engine = server(&home.path().join("a")).await;
    let digests = put(&engine, &["one"]).await;
    let object = home.path().join("a/objects").join(source::key(&digests[0]));
    let mut backup = Box::pin(write(&engine, &admin()).await.unwrap());
    let key = source::key(&digests[0]);
    let now = engine.now();
    engine.db.write(move |tx| Ok::<_, Error>(store::source::discard_object(tx, &key, now)?)).await.unwrap();
    assert_eq!(garbage::collect(&engine).await.unwrap(), 0);
    assert!(object.exists());
    let gc = garbage::gc::run(&engine, &admin(), garbage::gc::Wanted::default()).await.unwrap_err();
    assert!(gc.to_string().contains("a backup is under way"), "{gc}");
    while let Some(piece) = backup.next().await {
        piece.unwrap();
    }
    // It is freed by itself, once the backup has ended.
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while object.exists() {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    engine.db.close().await;
}

#[tokio::test]
async fn only_an_admin_gets_a_backup() {
    let home = tempfile::tempdir().unwrap();
    let engine = server(&home.path().join("a")).await;
    let project = ProjectId::new(runyard_domain::Millis(1), [1; 10]);
    let actor = Actor { scope: Scope::Project(project), ..admin() };
    let error = write(&engine, &actor).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
    engine.db.close().await;
}

#[tokio::test]
async fn objects_of_buckets_are_in_it_and_what_is_on_its_way_is_not() {
    use crate::oss::{
        multipart::{Upload, begin, complete, put_part},
        put::NewObject,
        read::{find, read},
    };
    let home = tempfile::tempdir().unwrap();
    let (data, file, other) = (home.path().join("a"), home.path().join("file"), home.path().join("b"));
    let engine = server(&data).await;
    let bytes = |text: &'static str| stream::iter([Ok::<_, io::Error>(Bytes::from_static(text.as_bytes()))]);
    for key in ["whole", "under way"] {
        let new = NewObject { bucket: "data".into(), key: key.into(), ..NewObject::default() };
        let upload = begin(&engine, &admin(), new).await.unwrap();
        let upload = Upload { bucket: "data".into(), key: key.into(), id: upload.id.to_string() };
        for (number, text) in [(1, "one "), (2, "two")] {
            put_part(&engine, &admin(), &upload, number, None, bytes(text)).await.unwrap();
        }
        if key == "whole" {
            complete(&engine, &admin(), &upload, None, false).await.unwrap();
        }
    }
    backed_up(&engine, &file).await;
    engine.db.close().await;
    assert_eq!(inspect(&file).unwrap().tail.objects, 2);
    restore(wanted(&file, &other)).await.unwrap();
    let restored = server_as_it_is(&other).await;
    let (_, object) = find(&restored, &admin(), "data", "whole").await.unwrap();
    let found: Vec<Bytes> = read(&restored, &object, 0..u64::MAX).await.unwrap().try_collect().await.unwrap();
    assert_eq!(found.concat(), b"one two");
    restored.db.close().await;
}
