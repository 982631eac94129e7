//! What happens to datasets, over a real database and objects in a folder.

use std::sync::Arc;

use runyard_archive::{Limits, extract};
use runyard_domain::{Millis, worker_run::Query};
use runyard_store::{both, image::Image};

use super::*;
use crate::activity::tests::yard::Yard;

fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Error::Invalid { fields } => fields.to_string(),
        other => other.to_string(),
    }
}

fn everything() -> Selection {
    Selection { query: Some(Query::default()), ..Selection::default() }
}

fn shares(parts: &[(&str, f64)]) -> Vec<Share> {
    parts.iter().map(|(set, share)| Share { set: (*set).to_owned(), share: *share }).collect()
}

fn sizes(whole: &Whole) -> Vec<(&str, i64)> {
    whole.sets.iter().map(|set| (set.name.as_str(), set.elements)).collect()
}

impl Yard {
    async fn dataset(&self) -> DatasetId {
        let new = NewDataset { corpus: Some(self.corpus), name: "pages".into(), ..NewDataset::default() };
        create(&self.engine, &self.admin, new).await.unwrap().dataset.id
    }

    async fn filled(&self) -> DatasetId {
        let id = self.dataset().await;
        let added = add(&self.engine, &self.admin, id, "train".into(), everything()).await.unwrap();
        assert_eq!(added, self.elements.len() as i64);
        id
    }

    async fn state(&self, id: DatasetId) -> Dataset {
        get(&self.engine, &self.admin, id).await.unwrap().dataset
    }

    /// Puts the first elements on images with these addresses.
    async fn on_images(&self, urls: Vec<String>) {
        let (project, elements) = (self.project, self.elements.clone());
        let ids: Vec<_> = urls.iter().map(|_| self.engine.id(runyard_domain::ImageId::new)).collect();
        self.engine
            .db
            .write(move |tx| {
                for ((url, id), element) in urls.iter().zip(&ids).zip(&elements) {
                    let image = Image {
                        id: *id,
                        project_id: project,
                        url: url.clone(),
                        width: Some(8),
                        height: None,
                        s3_url: None,
                        max_width: None,
                        max_height: None,
                        created_at: Millis(1),
                    };
                    store::image::put_all(tx, &[image])?;
                    let patch = store::element::Patch {
                        image_id: Some(Some(*id)),
                        ..store::element::Patch::default()
                    };
                    store::element::update(tx, *element, &patch)?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }

    /// Unpacks the archive of a dataset; answers the names in it.
    fn unpacked(&self, dataset: &Dataset) -> (tempfile::TempDir, Vec<String>) {
        let archive = dataset.archive.as_ref().unwrap();
        let bytes = std::fs::read(self.folder.path().join(&archive.key)).unwrap();
        assert_eq!(bytes.len() as i64, archive.size);
        let to = tempfile::tempdir().unwrap();
        extract(&bytes[..], to.path(), &Limits::default()).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(to.path().join("files"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert!(to.path().join("db.sqlite").is_file());
        (to, names)
    }
}

both! {
    async fn a_dataset_is_filled_split_and_built_and_its_archive_has_everything(db) {
        let yard = Yard::new(db, 20).await;
        let (engine, admin) = (&yard.engine, &yard.admin);
        let file = yard.folder.path().join("a page.PNG");
        std::fs::write(&file, "pixels").unwrap();
        let second = yard.folder.path().join("1.jpg");
        std::fs::write(&second, "more").unwrap();
        let url = format!("file://{}", file.display().to_string().replace(' ', "%20"));
        yard.on_images(vec![url, format!("file://{}", second.display()), "https://host/x.png".into(), "file:///gone.png".into()]).await;
        let id = yard.filled().await;
        let how = Split { shares: shares(&[("train", 0.8), ("dev", 0.1), ("test", 0.1)]), seed: 7, ..Split::default() };
        let whole = split(engine, admin, id, how.clone()).await.unwrap();
        assert_eq!(sizes(&whole), [("train", 16), ("dev", 2), ("test", 2)]);
        let before = members(engine, admin, id, None, None, 100).await.unwrap();
        split(engine, admin, id, how).await.unwrap();
        assert_eq!(members(engine, admin, id, None, None, 100).await.unwrap(), before, "the same seed, the same sets");
        assert_eq!(words(archive(engine, admin, id).await), "dataset `pages` is open, it has no archive yet: build it first (`runyard dataset build`)");
        assert_eq!(build::build(engine, admin, id).await.unwrap().dataset.state, State::Building);
        assert!(build::next(engine).await.unwrap() && !build::next(engine).await.unwrap());
        let done = yard.state(id).await;
        assert_eq!((done.state, done.error.as_deref(), done.seed), (State::Complete, None, Some(7)));
        assert_eq!(done.archive.as_ref().unwrap().files, 2);
        let backed_up = engine.db.read(|tx| {
            let mut keys = Vec::new();
            store::object::datasets(tx, |key, _| {
                keys.push(key);
                Ok::<_, store::Error>(())
            })?;
            Ok::<_, Error>(keys)
        });
        assert_eq!(backed_up.await.unwrap(), [done.archive.as_ref().unwrap().key.clone()], "a backup has the archive");
        let (_folder, names) = yard.unpacked(&done);
        let mut kinds: Vec<_> = names.iter().map(|name| name.rsplit('.').next().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["jpg", "png"]);
        assert!(archive(engine, admin, id).await.unwrap().url.contains(&id.to_string()));
        let by_task = by_task(engine, admin, done.task_id.clone().unwrap()).await.unwrap();
        assert_eq!(by_task.dataset.id, id);
        assert!(!engine.options.cache_dir.join("builds").join(id.to_string()).exists(), "a build cleans up");
        delete(engine, admin, id).await.unwrap();
        assert_eq!(engine.objects.list("datasets").await.unwrap(), [], "an archive goes with its dataset");
    }

    async fn what_the_state_forbids_is_said_with_the_state_and_what_to_do(db) {
        let yard = Yard::new(db, 4).await;
        let (engine, admin) = (&yard.engine, &yard.admin);
        let id = yard.dataset().await;
        let empty = words(build::build(engine, admin, id).await);
        assert_eq!(empty, "cannot build dataset `pages`: it has no elements; add some first");
        add(engine, admin, id, "train".into(), everything()).await.unwrap();
        build::build(engine, admin, id).await.unwrap();
        let again = words(build::build(engine, admin, id).await);
        assert_eq!(again, "cannot build dataset `pages`: it is building; wait until it is complete");
        assert!(words(archive(engine, admin, id).await).contains("it has no archive yet: wait until it is complete"));
        for refused in [
            words(add(engine, admin, id, "dev".into(), everything()).await),
            words(remove(engine, admin, id, None, None).await),
            words(split(engine, admin, id, Split { shares: shares(&[("a", 1.0)]), ..Split::default() }).await),
            words(patch(engine, admin, id, Patch { reopen: true, ..Patch::default() }).await),
        ] {
            assert!(refused.contains("dataset `pages`: it is building; wait"), "{refused}");
        }
        build::next(engine).await.unwrap();
        let closed = words(add(engine, admin, id, "dev".into(), everything()).await);
        assert_eq!(closed, "cannot add to dataset `pages`: it is complete; open it again, which deletes its archive");
        let built = words(build::build(engine, admin, id).await);
        assert!(built.contains("it is complete; open it again first"), "{built}");
        let opened = patch(engine, admin, id, Patch { reopen: true, ..Patch::default() }).await.unwrap();
        assert_eq!((opened.dataset.state, opened.dataset.archive), (State::Open, None));
        assert_eq!(engine.objects.list("datasets").await.unwrap(), []);
        assert_eq!(remove(engine, admin, id, Some("train".into()), Some(vec![yard.elements[0]])).await.unwrap(), 1);
    }

    async fn what_is_not_there_is_named(db) {
        let yard = Yard::new(db, 2).await;
        let (engine, admin) = (&yard.engine, &yard.admin);
        let id = yard.dataset().await;
        let set = words(add(engine, admin, id, "valid".into(), everything()).await);
        assert_eq!(set, "set: dataset `pages` has no set `valid`: it has train, dev, test");
        let foreign = Selection { elements: vec![ElementId::new(Millis(1), [7; 10])], ..Selection::default() };
        let element = words(add(engine, admin, id, "dev".into(), foreign).await);
        assert!(element.contains("selection.elements.0: there is no element `"), "{element}");
        let name = runyard_domain::worker_run::SetName { dataset: id, set: "nonesuch".into() };
        let sets = Selection { sets: vec![name], ..Selection::default() };
        let of_set = words(add(engine, admin, id, "dev".into(), sets).await);
        assert!(of_set.contains("selection.sets.0.set: dataset `pages` has no set `nonesuch`: it has train"), "{of_set}");
        let half = words(split(engine, admin, id, Split { shares: shares(&[("a", 0.5)]), ..Split::default() }).await);
        assert!(half.contains("shares: the shares make 0.5, not 1"), "{half}");
        let nobody = engine.id(DatasetId::new);
        assert_eq!(words(get(engine, admin, nobody).await), format!("there is no dataset `{nobody}`"));
        let again = NewDataset { corpus: Some(yard.corpus), name: "pages".into(), ..NewDataset::default() };
        assert!(words(create(engine, admin, again).await).contains("there is a dataset `pages` in this corpus already"));
        let nowhere = NewDataset { corpus: Some(engine.id(CorpusId::new)), name: "x".into(), ..NewDataset::default() };
        assert!(words(create(engine, admin, nowhere).await).starts_with("corpus: there is no corpus"));
        add(engine, admin, id, "dev".into(), everything()).await.unwrap();
        let patch = patch(engine, admin, id, Patch { sets: Some(vec!["train".into()]), ..Patch::default() });
        assert!(words(patch.await).contains("sets: leaves out the set `dev`, which has 2 elements"));
    }

    async fn an_archive_that_is_missing_is_not_found(db) {
        let yard = Yard::new(db, 2).await;
        let id = yard.filled().await;
        build::build(&yard.engine, &yard.admin, id).await.unwrap();
        build::next(&yard.engine).await.unwrap();
        let key = yard.state(id).await.archive.unwrap().key;
        yard.engine.objects.delete(&key).await.unwrap();
        assert_eq!(words(archive(&yard.engine, &yard.admin, id).await), format!("there is no archive `{id}.tar.zst`"));
    }

    async fn a_build_that_was_killed_in_the_middle_is_begun_again(db) {
        let yard = Yard::new(db, 3).await;
        let id = yard.filled().await;
        build::build(&yard.engine, &yard.admin, id).await.unwrap();
        // Killed after it had taken the build and written some of it.
        let (server, now) = (yard.engine.options.server_id.clone(), yard.engine.now());
        let taken = yard.engine.db.write(move |tx| store::dataset::build::take(tx, &server, now, now.plus(30_000)));
        assert!(taken.await.unwrap().is_some());
        let folder = yard.engine.options.cache_dir.join("builds").join(id.to_string()).join("content");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("db.sqlite"), "half a database").unwrap();
        assert!(!build::next(&yard.engine).await.unwrap(), "it is still somebody's");
        // The next life of the same server begins it again at once.
        let builder = tokio::spawn(build::run(yard.engine.clone()));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while yard.state(id).await.state == State::Building {
            assert!(std::time::Instant::now() < deadline, "it was not begun again");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        builder.abort();
        let done = yard.state(id).await;
        assert_eq!(done.state, State::Complete, "{:?}", done.error);
        yard.unpacked(&done);
    }

    async fn a_build_that_was_superseded_completes_nothing_and_leaves_nothing(db) {
        let yard = Yard::new(db, 2).await;
        let id = yard.filled().await;
        build::build(&yard.engine, &yard.admin, id).await.unwrap();
        let wrong = yard.engine.db.write(move |tx| store::dataset::build::held(tx, id, "another build", "test"));
        assert_eq!(wrong.await.unwrap(), None);
        delete(&yard.engine, &yard.admin, id).await.unwrap();
        assert!(!build::next(&yard.engine).await.unwrap());
        assert_eq!(yard.engine.objects.list("datasets").await.unwrap(), []);
    }

    async fn a_server_that_was_given_up_for_dead_harms_no_archive_of_its_successor(db) {
        let yard = Yard::new(db.clone(), 2).await;
        let id = yard.filled().await;
        build::build(&yard.engine, &yard.admin, id).await.unwrap();
        let slow = build::take(&yard.engine).await.unwrap().unwrap();
        yard.later(build::LEASE_MS + 1);
        let mut other = crate::tests::engine_on(db, yard.clock.clone(), yard.folder.path());
        Arc::get_mut(&mut other.0).unwrap().options.server_id = "other".to_owned();
        let taken = build::take(&other).await.unwrap().unwrap();
        assert!(build::finish(&other, taken).await.unwrap());
        let done = yard.state(id).await;
        assert_eq!(done.state, State::Complete, "{:?}", done.error);
        assert!(build::finish(&yard.engine, slow).await.unwrap());
        assert_eq!(yard.state(id).await, done);
        yard.unpacked(&done);
        assert_eq!(yard.engine.objects.list("datasets").await.unwrap().len(), 1, "the late archive is gone");
    }

    async fn requests_with_the_same_id_at_the_same_time_make_one(db) {
        let yard = Yard::new(db, 1).await;
        let (engine, admin) = (&yard.engine, &yard.admin);
        let (corpus, id, run) = (engine.id(CorpusId::new), engine.id(DatasetId::new), engine.id(WorkerRunId::new));
        let shelf = crate::corpus::NewCorpus {
            id: Some(corpus), project: "default".into(), name: "shelf".into(), ..crate::corpus::NewCorpus::default()
        };
        let made = futures::future::join_all((0..8).map(|_| crate::corpus::create(engine, admin, shelf.clone(), None)));
        assert!(made.await.into_iter().all(|made| made.unwrap().id == corpus));
        let pages = NewDataset { id: Some(id), corpus: Some(corpus), name: "pages".into(), ..NewDataset::default() };
        let made = futures::future::join_all((0..8).map(|_| create(engine, admin, pages.clone())));
        assert!(made.await.into_iter().all(|made| made.unwrap().dataset.id == id));
        let reader = crate::worker_run::NewWorkerRun {
            id: Some(run), worker: "reader".into(), ..crate::worker_run::NewWorkerRun::default()
        };
        let made = futures::future::join_all((0..8).map(|_| crate::worker_run::create(engine, admin, reader.clone())));
        assert!(made.await.into_iter().all(|made| made.unwrap().id == run));
    }

    async fn of_requests_that_want_a_name_at_the_same_time_one_gets_it(db) {
        let yard = Yard::new(db, 1).await;
        let (engine, admin) = (&yard.engine, &yard.admin);
        let pages = NewDataset { corpus: Some(yard.corpus), name: "pages".into(), ..NewDataset::default() };
        let made = futures::future::join_all((0..8).map(|_| create(engine, admin, pages.clone()))).await;
        let (got, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!(got.len(), 1);
        assert!(refused.into_iter().all(|one| words(one).contains("there is a dataset `pages` in this corpus already")));
    }

    async fn a_run_reads_datasets_of_its_project_and_changes_none(db) {
        let yard = Yard::new(db, 2).await;
        let id = yard.filled().await;
        let (_, job) = yard.run_of_kind_worker().await;
        assert_eq!(get(&yard.engine, &job, id).await.unwrap().dataset.id, id);
        assert_eq!(words(delete(&yard.engine, &job, id).await), "the token of a run cannot change datasets");
        let stranger = Actor { scope: Scope::Project(yard.engine.id(runyard_domain::ProjectId::new)), ..job };
        assert_eq!(words(get(&yard.engine, &stranger, id).await), format!("there is no dataset `{id}`"));
        assert_eq!(list(&yard.engine, &stranger, Filter { limit: 5, ..Filter::default() }).await.unwrap(), []);
    }
}
