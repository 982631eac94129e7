use std::sync::{Arc, atomic::Ordering};

use runyard_domain::token::Scope;
use runyard_store::both;

use super::*;
use crate::tests::Stopped;

fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Error::Invalid { fields } => fields.to_string(),
        other => other.to_string(),
    }
}

both! {
    async fn a_corpus_has_a_name_in_its_project_and_types_of_its_own(db) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        clock.0.store(1_700_000_000_000, Ordering::Relaxed);
        let engine = crate::tests::engine_on(db, clock, folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        let of_type = |slug: &str| NewType { slug: slug.into(), ..NewType::default() };
        let new = |name: &str| NewCorpus {
            project: "default".into(), name: name.into(), types: vec![of_type("page")], ..NewCorpus::default()
        };
        let made = create(&engine, &admin, new("books"), Some("k".into())).await.unwrap();
        let again = create(&engine, &admin, new("books"), Some("k".into())).await.unwrap();
        assert_eq!(made, again);
        let message = words(create(&engine, &admin, new("books"), None).await);
        assert_eq!(message, "there is a corpus `books` in this project already: choose another name");
        let bad = NewCorpus { types: vec![of_type("a b"), of_type("x"), of_type("x")], ..new("") };
        let message = words(create(&engine, &admin, bad, None).await);
        assert!(message.contains("name: is empty"), "{message}");
        assert!(message.contains("types.0.slug: is `a b`: a type has 1 to 50 letters"), "{message}");
        assert!(message.contains("types.2.slug: `x` is that of type 1 too"), "{message}");
        let imported = NewCorpus { id: Some(CorpusId(made.id.0)), ..new("books") };
        assert_eq!(create(&engine, &admin, imported.clone(), None).await.unwrap(), made, "the same again");
        let message = words(create(&engine, &admin, NewCorpus { name: "other".into(), ..imported }, None).await);
        assert!(message.contains("there is another corpus with the id"), "{message}");
        create(&engine, &admin, new("letters"), None).await.unwrap();
        let message = words(patch(&engine, &admin, made.id, Some("letters".into()), None).await);
        assert!(message.contains("there is a corpus `letters`"), "{message}");
        let patched = patch(&engine, &admin, made.id, Some("tomes".into()), Some("old".into())).await.unwrap();
        assert_eq!((patched.name.as_str(), patched.description.as_str()), ("tomes", "old"));
        let listed = list(&engine, &admin, Filter { name_ilikes: vec!["T%".into()], limit: 9, ..Filter::default() }).await.unwrap();
        assert_eq!(listed, [patched]);
        let message = words(project::delete(&engine, &admin, "default").await);
        assert!(message.contains("is always there"), "{message}");
    }

    async fn what_a_killed_server_left_of_a_deleted_corpus_goes_with_the_next_sweep(db) {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::tests::engine_on(db, Arc::new(Stopped::default()), folder.path());
        crate::open::ensure_default_project(&engine).await.unwrap();
        let admin = Actor { token_id: None, name: "admin".into(), scope: Scope::Admin };
        let new = NewCorpus { project: "default".into(), name: "books".into(), ..NewCorpus::default() };
        let id = create(&engine, &admin, new, None).await.unwrap().id;
        let now = engine.now();
        engine.db.write(move |tx| hide(tx, id, now)).await.unwrap();
        garbage::collect(&engine).await.unwrap();
        garbage::collect(&engine).await.unwrap();
        for table in ["corpora", "garbage"] {
            assert_eq!(engine.db.read(move |tx| store::testing::count(tx, table)).await.unwrap(), 0);
        }
    }
}
