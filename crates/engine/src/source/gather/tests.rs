//! Objects become sources, and stay what they were.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use runyard_archive::{Limits, extract};
use runyard_domain::token::Scope;

use super::*;
use crate::{
    oss::put::{NewObject, put as put_object},
    source,
    tests::{Stopped, engine},
};

struct Yard {
    engine: Engine,
    admin: Actor,
    folder: tempfile::TempDir,
}

impl Yard {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(Arc::<Stopped>::default(), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "ann".into(), scope: Scope::Admin };
        Self { engine, admin, folder }
    }

    async fn put(&self, key: &str, text: &'static str) {
        let new = NewObject { bucket: "scripts".into(), key: key.into(), ..NewObject::default() };
        let bytes = stream::iter([Ok::<_, io::Error>(Bytes::from_static(text.as_bytes()))]);
        put_object(&self.engine, &self.admin, new, bytes).await.unwrap();
    }

    async fn gather(&self, key: &str) -> Result<Source> {
        let place = Place { bucket: "scripts".into(), key: key.into() };
        gather(&self.engine, &self.admin, &place).await.map(|gathered| gathered.source)
    }

    /// What is in a source, by path.
    async fn files(&self, source: &Source) -> BTreeMap<String, String> {
        let (_, packed) = source::get(&self.engine, &source.digest).await.unwrap();
        let packed: Vec<Bytes> = packed.try_collect().await.unwrap();
        let to = tempfile::tempdir_in(self.folder.path()).unwrap();
        extract(packed.concat().as_slice(), to.path(), &Limits::default()).unwrap();
        let mut files = BTreeMap::new();
        let mut folders = vec![to.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(to.path()).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, std::fs::read_to_string(path).unwrap());
                }
            }
        }
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_objects_below_a_prefix_are_files_and_stay_what_they_were() {
    let yard = Yard::new().await;
    yard.put("src/job/main.py", "print(1)").await;
    yard.put("src/job/package/__init__.py", "").await;
    yard.put("src/job/ein wört.txt", "é").await;
    yard.put("src/job/folder/", "").await;
    yard.put("src/jobs/other.py", "no").await;
    let source = yard.gather("src/job/").await.unwrap();
    yard.put("src/job/main.py", "print(2)").await;
    let files = yard.files(&source).await;
    let wanted = [("ein wört.txt", "é"), ("main.py", "print(1)"), ("package/__init__.py", "")];
    assert_eq!(files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>(), wanted);
    assert_ne!(yard.gather("src/job/").await.unwrap().digest, source.digest);
    let without_slash = yard.gather("src/job").await.unwrap();
    assert_eq!(yard.files(&without_slash).await["main.py"], "print(2)", "a prefix may have lost its slash");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_a_source_of_one_file_and_the_same_again_is_the_same_source() {
    let yard = Yard::new().await;
    yard.put("deep/main.py", "print(1)").await;
    yard.put("other/main.py", "print(1)").await;
    let source = yard.gather("deep/main.py").await.unwrap();
    assert_eq!(yard.files(&source).await, BTreeMap::from([("main.py".to_owned(), "print(1)".to_owned())]));
    assert_eq!(yard.gather("other/main.py").await.unwrap(), source);
    assert_eq!(yard.gather("other/").await.unwrap(), source);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_requirements_is_read_where_it_is_at_the_root() {
    let yard = Yard::new().await;
    yard.put("one/requirements.txt", "pandas>=2\n").await;
    yard.put("two/deep/requirements.txt", "pandas>=2\n").await;
    for (key, said) in [("one/", Some("pandas>=2\n")), ("two/", None)] {
        let place = Place { bucket: "scripts".into(), key: key.into() };
        let gathered = gather(&yard.engine, &yard.admin, &place).await.unwrap();
        assert_eq!(gathered.requirements.as_deref(), said, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_source_is_refused_in_words() {
    let yard = Yard::new().await;
    yard.put("a/../b", "1").await;
    yard.put("clash/x", "1").await;
    yard.put("clash/x/y", "2").await;
    for (key, words) in [
        ("nothing/", "there is no object at oss://scripts/nothing/"),
        ("nothing", "there is no object at oss://scripts/nothing"),
        ("a/", "cannot be a file of the source"),
        ("clash/", "a file stands where it needs a folder"),
    ] {
        let refused = yard.gather(key).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{key}: {refused}");
    }
    let place = Place { bucket: "none".into(), key: "x/".into() };
    let refused = gather(&yard.engine, &yard.admin, &place).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
}
