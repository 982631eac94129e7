use runyard_domain::{
    CorpusId, DatasetId, ProjectId,
    activity::{Act, Effect, apply, set_aside_reason},
    worker_run::{Mode, Query, Selection, SetName},
};
use serde_json::Map;

use super::*;
use crate::{Db, both, project, testing, worker_run};

const MAX: i64 = 3;
const LEASE: i64 = 1_000;

pub(crate) fn corpus() -> CorpusId {
    CorpusId::new(Millis(1), [1; 10])
}

pub(crate) fn element(n: u32) -> ElementId {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    ElementId::new(Millis(2), random)
}

pub(crate) fn run_id(n: u8) -> WorkerRunId {
    WorkerRunId::new(Millis(3), [n; 10])
}

fn worker_run(n: u8, selection: Selection) -> worker_run::WorkerRun {
    worker_run::WorkerRun {
        id: run_id(n),
        project_id: ProjectId::new(Millis(1), [1; 10]),
        corpus_id: Some(corpus()),
        run_id: None,
        summary: format!("worker run {n}"),
        worker: "reader".into(),
        mode: Mode::Workers,
        configuration: Map::new(),
        worker_configuration: Map::new(),
        user_configuration: Map::new(),
        secrets: vec!["key".into()],
        model_version_id: None,
        selection,
        max_attempts: MAX,
        lease_ms: LEASE,
        created_at: Millis(3),
        counts: Counts::default(),
    }
}

/// A corpus with `pages` pages on two shelves; each page has the one after it as its child where that is on its shelf.
pub(crate) async fn shelves(db: &Db, pages: u32) {
    db.write(move |tx| {
        project::insert(tx, &testing::project(1))?;
        tx.execute(
            "INSERT INTO corpora (id, project_id, name, description, created_at) VALUES ($1, $2, 'books', '', 1)",
            params![corpus(), testing::project(1).id],
        )?;
        for n in 0..pages {
            tx.execute(
                "INSERT INTO elements (id, corpus_id, type, name, rotation_angle, mirrored, top_level, created_at)
                 VALUES ($1, $2, $3, $4, 0, 0, 1, 2)",
                params![element(n), corpus(), if n % 2 == 0 { "page" } else { "line" }, format!("No. {n}")],
            )?;
            if n >= 2 {
                tx.execute(
                    "INSERT INTO element_parents (child_id, parent_id, ord) VALUES ($1, $2, 0)",
                    params![element(n), element(n - 2)],
                )?;
            }
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}

fn everything() -> Selection {
    Selection { query: Some(Query::default()), ..Selection::default() }
}

pub(crate) async fn begin(db: &Db, n: u8, selection: Selection) -> i64 {
    db.write(move |tx| {
        let run = worker_run(n, selection.clone());
        worker_run::insert(tx, &run)?;
        select(tx, run.id, SelectFrom { corpus: corpus(), selection: &selection }, Millis(10))
    })
    .await
    .unwrap()
}

async fn ids(db: &Db, n: u8) -> Vec<u32> {
    let found = db.read(move |tx| list(tx, run_id(n), &Filter { limit: 1000, ..Filter::default() })).await;
    let all: Vec<ElementId> = (0..1000).map(element).collect();
    let number = |id: ElementId| all.iter().position(|one| *one == id).unwrap() as u32;
    found.unwrap().into_iter().map(|row| number(row.element_id)).collect()
}

/// A generator of numbers that needs no crate: enough to choose steps.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One act of a holder on several elements, in the rows.
fn in_rows(
    tx: &mut Tx,
    act: &Act<'_>,
    elements: &[ElementId],
    models: &[Activity],
    now: Millis,
) -> Result<(), Error> {
    let run = run_id(1);
    match *act {
        Act::Claim { holder, lease_ms } => {
            let lease = Lease { holder: holder.into(), until: now.plus(lease_ms) };
            hand_out(tx, run, elements, &lease, now)
        }
        Act::Renew { holder, lease_ms } => renew(tx, run, holder, now.plus(lease_ms)).map(drop),
        Act::Release { holder } => release(tx, run, holder, Some(elements), now).map(drop),
        Act::Lose { holder, died } => {
            let reason = set_aside_reason(MAX);
            lose(tx, run, holder.strip_suffix("/0").unwrap(), died.then_some((MAX, &*reason)), now).map(drop)
        }
        Act::Commit { outcome: Outcome::Processed, .. } => process(tx, run, elements, now),
        Act::Retry { reset } => {
            for outcome in [Outcome::Processed, Outcome::Error] {
                retry(tx, run, outcome, Some(elements), reset, now)?;
            }
            Ok(())
        }
        _ => elements.iter().zip(models).try_for_each(|(id, after)| save(tx, run, *id, after, None, now)),
    }
}

/// What the rule makes of each element; those that it refuses are left out.
fn by_rule(
    act: impl Fn(&Activity) -> Act<'static>,
    models: &[Activity],
    now: Millis,
    wanted: impl Fn(&Effect) -> bool,
) -> Vec<(usize, Activity)> {
    let outcomes = models.iter().enumerate().map(|(n, model)| (n, apply(model, &act(model), MAX, now)));
    let accepted = outcomes.filter_map(|(n, outcome)| Some((n, outcome.ok()?)));
    accepted.filter(|(_, (_, effect))| wanted(effect)).map(|(n, (after, _))| (n, after)).collect()
}

async fn follow(db: &Db, seed: u64) {
    const HOLDERS: [&str; 2] = ["a/0", "b/0"];
    let mut dice = Dice(seed);
    let mut models = vec![Activity::default(); 5];
    let mut now = Millis(100);
    for _ in 0..120 {
        now = now.plus(dice.roll(600) as i64);
        let holder = HOLDERS[dice.roll(2) as usize];
        let kind = dice.roll(8);
        let died = dice.roll(2) == 0;
        let act = move |model: &Activity| match kind {
            0 | 1 => Act::Claim { holder, lease_ms: LEASE },
            2 => Act::Renew { holder, lease_ms: LEASE },
            3 => Act::Release { holder },
            4 => Act::Lose { holder, died },
            5 => Act::Commit { attempt: model.attempt, outcome: Outcome::Processed },
            6 => Act::Finish { outcome: Outcome::Error },
            _ => Act::Retry { reset: died },
        };
        // Claims by rows and claims by the rule differ in what is set aside, which is written one by one.
        let whole = kind == 4 || kind == 2;
        let after = by_rule(act, &models, now, |effect| {
            *effect != Effect::Repeated && (whole || *effect != Effect::SetAside)
        });
        let chosen: Vec<_> = after.into_iter().filter(|_| whole || dice.roll(2) == 0).collect();
        if chosen.is_empty() {
            continue;
        }
        let elements: Vec<_> = chosen.iter().map(|(n, _)| element(*n as u32)).collect();
        let states: Vec<_> = chosen.iter().map(|(_, after)| after.clone()).collect();
        let shown = act(&models[chosen[0].0]);
        let (said, to) = (shown.clone(), elements.clone());
        db.write(move |tx| in_rows(tx, &said, &to, &states, now)).await.unwrap();
        for (n, after) in chosen {
            models[n] = after;
        }
        let all: Vec<_> = (0..5).map(element).collect();
        let mut rows = db.read(move |tx| by_elements(tx, run_id(1), &all)).await.unwrap();
        rows.sort_by_key(|(id, _)| *id);
        let rows: Vec<_> = rows.into_iter().map(|(_, activity)| activity).collect();
        assert_eq!(rows, models, "seed {seed}: the rows and the rule differ after {shown:?}");
    }
}

both! {
    async fn rows_go_where_the_rule_says(db) {
        shelves(&db, 5).await;
        begin(&db, 1, everything()).await;
        for seed in 1..=6 {
            follow(&db, seed).await;
            db.write(|tx| {
                tx.execute("DELETE FROM activities", &[])?;
                let all = everything();
                select(tx, run_id(1), SelectFrom { corpus: corpus(), selection: &all }, Millis(10))
            })
            .await
            .unwrap();
        }
    }

    async fn a_selection_finds_what_it_names_once_and_again_only_what_is_new(db) {
        shelves(&db, 10).await;
        assert_eq!(begin(&db, 1, everything()).await, 10);
        let again = db.write(|tx| {
            let all = everything();
            select(tx, run_id(1), SelectFrom { corpus: corpus(), selection: &all }, Millis(11))
        });
        assert_eq!(again.await.unwrap(), 0);
        let query = |query| Selection { query: Some(query), ..Selection::default() };
        let lines = Query { of_type: Some("line".into()), ..Query::default() };
        assert_eq!(begin(&db, 2, query(lines)).await, 5);
        assert_eq!(ids(&db, 2).await, [1, 3, 5, 7, 9]);
        let named = Query { name_ilike: Some("no. 1%".into()), ..Query::default() };
        begin(&db, 3, query(named)).await;
        assert_eq!(ids(&db, 3).await, [1]);
        let child = Query { parent: Some(element(4)), ..Query::default() };
        begin(&db, 4, query(child.clone())).await;
        assert_eq!(ids(&db, 4).await, [6]);
        begin(&db, 5, query(Query { recursive: true, ..child })).await;
        assert_eq!(ids(&db, 5).await, [6, 8]);
        let elements = vec![element(3), element(9), element(77)];
        begin(&db, 6, Selection { elements, ..Selection::default() }).await;
        assert_eq!(ids(&db, 6).await, [3, 9]);
        db.write(|tx| process(tx, run_id(6), &[element(3)], Millis(12))).await.unwrap();
        let rest = Query { without_results_of: Some(run_id(6)), ..Query::default() };
        begin(&db, 7, query(rest)).await;
        assert_eq!(ids(&db, 7).await, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        let known = db.read(|tx| elements_of(tx, corpus(), &[element(1), element(99)])).await.unwrap();
        assert_eq!(known, [element(1)]);
    }

    async fn a_list_goes_on_behind_an_element_and_knows_states_types_and_names(db) {
        shelves(&db, 6).await;
        begin(&db, 1, everything()).await;
        db.write(|tx| {
            let broken = Activity { state: State::Error, attempt: 1, ..Activity::default() };
            save(tx, run_id(1), element(2), &broken, Some("no such image"), Millis(20))?;
            save(tx, run_id(1), element(5), &broken, Some("no such font"), Millis(20))?;
            tx.execute("DELETE FROM elements WHERE id = $1", params![element(5)])
        })
        .await
        .unwrap();
        let failed = Filter { states: vec![State::Error], limit: 10, ..Filter::default() };
        let wanted = failed.clone();
        let rows = db.read(move |tx| list(tx, run_id(1), &wanted)).await.unwrap();
        assert_eq!(rows[0].error.as_deref(), Some("no such image"));
        assert_eq!(rows[0].element, Some(("page".into(), "No. 2".into())));
        assert_eq!((rows.len(), rows[1].element.as_ref()), (2, None), "a deleted element is still told");
        let next = Filter { id_after: Some(element(2)), ..failed.clone() };
        assert_eq!(db.read(move |tx| list(tx, run_id(1), &next)).await.unwrap().len(), 1);
        let two = Filter { states: vec![State::Error, State::Queued], id_after: Some(element(1)), limit: 3, ..Filter::default() };
        let two = db.read(move |tx| list(tx, run_id(1), &two)).await.unwrap();
        assert_eq!(two.iter().map(|row| row.element_id).collect::<Vec<_>>(), [element(2), element(3), element(4)]);
        let pages = Filter { types: vec!["page".into()], name_ilikes: vec!["%4".into()], limit: 10, ..Filter::default() };
        let pages = db.read(move |tx| list(tx, run_id(1), &pages)).await.unwrap();
        assert_eq!(pages.iter().map(|row| row.element_id).collect::<Vec<_>>(), [element(4)]);
    }

    async fn what_a_job_held_is_told_by_its_name_and_nothing_else(db) {
        shelves(&db, 4).await;
        begin(&db, 1, everything()).await;
        let lost = db
            .write(|tx| {
                for (n, holder) in ["job/0", "job/11", "job0/0", "jo/b"].into_iter().enumerate() {
                    let lease = Lease { holder: holder.into(), until: Millis(500) };
                    hand_out(tx, run_id(1), &[element(n as u32)], &lease, Millis(20))?;
                }
                lose(tx, run_id(1), "job", Some((MAX, "why")), Millis(30))
            })
            .await
            .unwrap();
        assert_eq!(lost, Lost { queued: 2, set_aside: 0 });
        let queue = db.read(|tx| queued(tx, run_id(1), 10)).await.unwrap();
        assert_eq!(queue.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [element(0), element(1)]);
        assert!(queue.iter().all(|(_, activity)| activity.lost == 1));
        assert_eq!(db.read(|tx| first_expiry(tx, run_id(1))).await.unwrap(), Some(Millis(500)));
        assert_eq!(db.write(|tx| renew(tx, run_id(1), "jo/b", Millis(900))).await.unwrap(), 1);
        assert_eq!(db.write(|tx| renew(tx, run_id(1), "job/0", Millis(900))).await.unwrap(), 0);
        let late = db.read(|tx| expired(tx, run_id(1), Millis(501), 10)).await.unwrap();
        assert_eq!(late.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [element(2)]);
    }

    async fn a_worker_run_is_found_listed_and_deleted_with_its_activities(db) {
        shelves(&db, 3).await;
        begin(&db, 1, everything()).await;
        begin(&db, 2, everything()).await;
        let written = worker_run(1, everything());
        assert_eq!(db.read(|tx| worker_run::get(tx, run_id(1))).await.unwrap(), Some(written));
        let filter = worker_run::Filter { corpus_ids: vec![corpus()], limit: 10, ..worker_run::Filter::default() };
        let listed = db.read(move |tx| worker_run::list(tx, &filter)).await.unwrap();
        assert_eq!(listed.iter().map(|run| run.id).collect::<Vec<_>>(), [run_id(2), run_id(1)]);
        let ledger = db.write(|tx| {
            let mut ledger = worker_run::lock(tx, run_id(1))?.unwrap();
            ledger.counts.queued = 3;
            ledger.lease_floor = Some(Millis(7));
            worker_run::save(tx, &ledger)?;
            worker_run::lock(tx, run_id(1))
        });
        let ledger = ledger.await.unwrap().unwrap();
        assert_eq!((ledger.counts.queued, ledger.lease_floor, ledger.max_attempts), (3, Some(Millis(7)), MAX));
        let (there, rest) = db
            .write(|tx| {
                let there = worker_run::delete(tx, run_id(1), Millis(9))?;
                let rest = [delete_some(tx, run_id(1), 2)?, delete_some(tx, run_id(1), 2)?, delete_some(tx, run_id(1), 2)?];
                Ok::<_, Error>((there, rest))
            })
            .await
            .unwrap();
        assert_eq!((there, rest), (true, [2, 1, 0]));
        assert_eq!(db.read(|tx| worker_run::get(tx, run_id(1))).await.unwrap(), None);
        assert_eq!(db.read(|tx| count(tx, run_id(2))).await.unwrap().queued, 3);
        assert!(!db.write(|tx| worker_run::delete(tx, run_id(1), Millis(9))).await.unwrap());
    }
}

#[test]
fn pages_walk_an_index_and_never_all_rows() {
    crate::testing::on_sqlite(async |db| {
        db.read(|tx| {
            let states = [vec![State::Error], vec![State::Error, State::Processed], vec![]];
            for states in states {
                // What several ranges found is put in order, a page of each.
                let several = states.len() > 1;
                let filter = Filter { states, id_after: Some(element(1)), limit: 10, ..Filter::default() };
                let (sql, values) = list_query(tx, run_id(1), &filter);
                for row in tx.query(&format!("EXPLAIN QUERY PLAN {sql}"), &values)? {
                    let step: String = row.get(3)?;
                    let sorts = step.contains("B-TREE FOR") && !several;
                    assert!(!step.starts_with("SCAN a") && !sorts, "{step}: {sql}");
                }
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_set_is_selected_by_walking_its_own_places_and_not_the_corpus() {
    crate::testing::on_sqlite(async |db| {
        db.read(|tx| {
            let set = SetName { dataset: DatasetId::new(Millis(5), [1; 10]), set: "train".into() };
            let selection = Selection { sets: vec![set], ..Selection::default() };
            let from = SelectFrom { corpus: corpus(), selection: &selection };
            for (sql, values) in select::select_statements(tx, run_id(1), from, Millis(1)) {
                let steps = tx.query(&format!("EXPLAIN QUERY PLAN {sql}"), &values)?;
                let steps = steps.iter().map(|row| row.get(3)).collect::<Result<Vec<String>, _>>()?;
                assert!(steps[0].starts_with("SEARCH s ") && steps[1].starts_with("SEARCH e "), "{steps:?}");
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    });
}
