//! What must be true of a worker run in the end, whoever was killed meanwhile: read from the database itself, with no server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use runyard_domain::{ElementId, WorkerRunId, activity::State};
use runyard_store::{
    Db, Error, Tx,
    activity::{self, Filter, Listed},
    element::result::{Origin, class, transcription},
    worker_run,
};
use runyard_tests::block_on;

const PAGE: i64 = 1_000;

/// What was worked through.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) worker_run: WorkerRunId,
    pub(crate) elements: u64,
    /// A line `ELEMENT ATTEMPT` for each commit that a worker heard to be accepted.
    pub(crate) notes: PathBuf,
}

/// An element with what was found about it: names of classes, and texts.
type Found = (Listed, Vec<String>, Vec<String>);

/// Every element is processed, has exactly one result of each kind, of the attempt that was committed; nothing is under work, and
/// the counts are right.
pub(crate) fn judge(db: &Db, field: &Field) {
    let id = field.worker_run;
    let (run, counted) = block_on(db.read(move |tx| {
        let run = worker_run::get(tx, id)?.expect("the worker run is there");
        Ok::<_, Error>((run, activity::count(tx, id)?))
    }))
    .unwrap();
    assert_eq!(run.counts, counted, "the counts are those of the rows");
    assert_eq!((counted.processed.unsigned_abs(), counted.total()), (field.elements, counted.processed));
    let mut heard = notes(field);
    let (mut seen, mut after) = (0, None);
    loop {
        let page = block_on(db.read(move |tx| page(tx, id, after))).unwrap();
        for (one, classes, texts) in &page {
            judge_one(one, classes, texts);
            // What a worker heard to be accepted is what is there. Of some it never heard.
            let accepted = heard.remove(&one.element_id.to_string()).unwrap_or_default();
            let stored = BTreeSet::from([one.activity.attempt]);
            assert!(accepted.is_subset(&stored), "accepted were {accepted:?} of {one:?}");
        }
        seen += page.len() as u64;
        let Some((last, ..)) = page.last() else { break };
        after = Some(last.element_id);
    }
    assert_eq!(seen, field.elements, "each element is there once");
    assert!(heard.is_empty(), "accepted, and not there: {heard:?}");
}

fn judge_one(one: &Listed, classes: &[String], texts: &[String]) {
    let (_, name) = one.element.as_ref().expect("the element is there");
    assert_eq!(
        (one.activity.state, &one.activity.lease, &one.error),
        (State::Processed, &None, &None),
        "{one:?}"
    );
    let last = name.chars().next_back().expect("a name");
    assert_eq!(classes, [format!("ends in {last}")], "{one:?}");
    assert_eq!(texts, [format!("{} {}", one.element_id, one.activity.attempt)], "{one:?}");
}

fn page(tx: &mut Tx, run: WorkerRunId, after: Option<ElementId>) -> Result<Vec<Found>, Error> {
    let filter = Filter { id_after: after, limit: PAGE, ..Filter::default() };
    let listed = activity::list(tx, run, &filter)?;
    let ids: Vec<ElementId> = listed.iter().map(|one| one.element_id).collect();
    let own = |origin: &Origin| assert_eq!((origin.worker_run, origin.root), (Some(run), None));
    let mut found: BTreeMap<ElementId, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for (one, name) in class::of_elements(tx, &ids)? {
        own(&one.origin);
        found.entry(one.element_id).or_default().0.push(name);
    }
    for one in transcription::of_elements(tx, &ids)? {
        own(&one.origin);
        found.entry(one.element_id).or_default().1.push(one.text);
    }
    let all = listed.into_iter().map(|one| {
        let (classes, texts) = found.remove(&one.element_id).unwrap_or_default();
        (one, classes, texts)
    });
    Ok(all.collect())
}

/// The attempts of each element that a worker heard to be accepted.
fn notes(field: &Field) -> BTreeMap<String, BTreeSet<i64>> {
    let mut heard: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for line in fs::read_to_string(&field.notes).expect("workers noted something").lines() {
        let (element, attempt) = line.split_once(' ').expect("an element and an attempt");
        heard.entry(element.to_owned()).or_default().insert(attempt.parse().unwrap());
    }
    heard
}
