//! What two transactions on PostgreSQL may do to each other: one is held in its middle while another one runs. Each test fails when
//! what it is about is decided on a row that is not held.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use runyard_domain::{
    DatasetId, ElementId, Millis,
    activity::Lease,
    dataset::{Share, State, split},
    worker_run::{Query, Selection},
};

use crate::{
    Db, Error, Tx,
    activity::{
        self, SelectFrom,
        tests::{begin, corpus, element, run_id, shelves},
    },
    dataset::{self, Dataset},
    element::delete,
    testing::on_postgres,
    worker_run,
};

/// Who is not through by then waits for the other one, or is slow: either way the other one goes on.
const LOOK: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);
const PAGES: u32 = 6;

/// Runs `first`, which calls its second argument in its middle; from there on `second` runs, and then the rest of `first`.
async fn interleave<A: Send + 'static, B: Send + 'static>(
    db: &Db,
    first: impl Fn(&mut Tx<'_>, &dyn Fn()) -> Result<A, Error> + Send + 'static,
    second: impl Fn(&mut Tx<'_>) -> Result<B, Error> + Send + 'static,
) -> (A, B) {
    let (reached, middle) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let stop = move || {
        // In a repetition nobody listens any more, and nobody is waited for.
        let _ = reached.send(());
        let _: Result<(), _> = wait.lock().unwrap().recv_timeout(PATIENCE);
    };
    let (one, other) = (db.clone(), db.clone());
    let first = tokio::spawn(async move { one.write(move |tx| first(tx, &stop)).await });
    tokio::task::spawn_blocking(move || middle.recv_timeout(PATIENCE)).await.unwrap().expect("the middle");
    let mut second = tokio::spawn(async move { other.write(second).await });
    let early = tokio::time::timeout(LOOK, &mut second).await;
    drop(go);
    let first = first.await.unwrap().unwrap();
    let second = match early {
        Ok(done) => done,
        Err(_) => second.await,
    };
    (first, second.unwrap().unwrap())
}

fn everything() -> Selection {
    Selection { query: Some(Query::default()), ..Selection::default() }
}

fn of_corpus(selection: &Selection) -> SelectFrom<'_> {
    SelectFrom { corpus: corpus(), selection }
}

fn set_id() -> DatasetId {
    DatasetId::new(Millis(5), [1; 10])
}

/// A dataset with all pages in its set `train`, or with none.
async fn set(db: &Db, full: bool) {
    shelves(db, PAGES).await;
    let dataset = Dataset {
        id: set_id(),
        corpus_id: corpus(),
        name: "letters".into(),
        description: String::new(),
        state: State::Open,
        error: None,
        seed: None,
        task_id: None,
        archive: None,
        created_at: Millis(5),
        updated_at: Millis(5),
    };
    db.write(move |tx| {
        dataset::insert(tx, &dataset, &["train".to_owned(), "dev".to_owned()])?;
        if full { dataset::add(tx, set_id(), "train", of_corpus(&everything())) } else { Ok(0) }
    })
    .await
    .unwrap();
}

/// How many elements the sets say they have, how many places there are, and of how many elements.
async fn tally(db: &Db) -> (i64, i64, usize) {
    db.read(|tx| {
        let said = dataset::sets(tx, set_id())?.iter().map(|set| set.elements).sum();
        let there = crate::testing::count(tx, "dataset_elements")?;
        Ok::<_, Error>((said, there, dataset::members(tx, set_id(), None, None, 100)?.len()))
    })
    .await
    .unwrap()
}

fn forget(tx: &mut Tx<'_>, n: u32) -> Result<u64, Error> {
    delete::delete_all(tx, &[element(n)])
}

#[test]
fn a_lease_that_was_renewed_is_not_taken_by_a_claim_that_saw_it_run_out() {
    on_postgres(async |db| {
        shelves(&db, PAGES).await;
        begin(&db, 1, everything()).await;
        let held = |until| Lease { holder: "late".into(), until: Millis(until) };
        let all: Vec<ElementId> = (0..PAGES).map(element).collect();
        let (given, lease) = (all.clone(), held(100));
        db.write(move |tx| activity::hand_out(tx, run_id(1), &given, &lease, Millis(50))).await.unwrap();
        let claim = |tx: &mut Tx<'_>, middle: &dyn Fn()| {
            worker_run::lock(tx, run_id(1))?;
            let ids: Vec<_> =
                activity::expired(tx, run_id(1), Millis(200), 100)?.into_iter().map(|(id, _)| id).collect();
            middle();
            let lease = Lease { holder: "other".into(), until: Millis(900) };
            activity::hand_out(tx, run_id(1), &ids, &lease, Millis(200))?;
            Ok(ids.len())
        };
        let renew = |tx: &mut Tx<'_>| activity::renew(tx, run_id(1), "late", Millis(800));
        let (taken, kept) = interleave(&db, claim, renew).await;
        assert_eq!((taken, kept), (all.len(), 0), "what the holder was told to have, it has");
    });
}

#[test]
fn elements_that_are_deleted_while_others_are_taken_out_of_a_set_are_counted() {
    on_postgres(async |db| {
        set(&db, true).await;
        let delete = |tx: &mut Tx<'_>, middle: &dyn Fn()| {
            let gone = forget(tx, 0)?;
            middle();
            Ok(gone)
        };
        let take_out = |tx: &mut Tx<'_>| dataset::remove(tx, set_id(), Some("train"), Some(&[element(1)]));
        assert_eq!(interleave(&db, delete, take_out).await, (1, 1));
        assert_eq!(tally(&db).await, (4, 4, 4));
    });
}

#[test]
fn an_element_that_is_deleted_while_a_set_is_filled_leaves_no_place_behind() {
    on_postgres(async |db| {
        set(&db, false).await;
        let delete = |tx: &mut Tx<'_>, middle: &dyn Fn()| {
            let gone = forget(tx, 0)?;
            middle();
            Ok(gone)
        };
        let fill = |tx: &mut Tx<'_>| dataset::add(tx, set_id(), "dev", of_corpus(&everything()));
        assert_eq!(interleave(&db, delete, fill).await, (1, 5));
        assert_eq!(tally(&db).await, (5, 5, 5));
    });
}

#[test]
fn an_element_that_is_being_put_into_a_set_is_deleted_with_its_place() {
    on_postgres(async |db| {
        set(&db, false).await;
        let fill = |tx: &mut Tx<'_>, middle: &dyn Fn()| {
            let added = dataset::add(tx, set_id(), "dev", of_corpus(&everything()))?;
            middle();
            Ok(added)
        };
        assert_eq!(interleave(&db, fill, |tx| forget(tx, 0)).await, (6, 1));
        assert_eq!(tally(&db).await, (5, 5, 5));
    });
}

#[test]
fn an_element_that_is_deleted_during_a_split_leaves_no_place_behind() {
    on_postgres(async |db| {
        set(&db, true).await;
        let divide = |tx: &mut Tx<'_>, middle: &dyn Fn()| {
            let members = dataset::strata(tx, set_id(), None)?;
            middle();
            let share = |set: &str| Share { set: set.into(), share: 0.5 };
            let shares = [share("train"), share("dev")];
            let chosen = split(members, &shares, 1);
            dataset::place(tx, set_id(), &["train".to_owned(), "dev".to_owned()], &chosen)
        };
        assert_eq!(interleave(&db, divide, |tx| forget(tx, 0)).await, ((), 1));
        assert_eq!(tally(&db).await, (5, 5, 5));
    });
}
