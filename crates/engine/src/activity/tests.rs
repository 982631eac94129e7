//! What workers do to elements, over a real database and a clock that is moved by hand.

mod random;
pub(crate) mod yard;

use runyard_domain::{
    RunId,
    element::{Child, Classification, ClassificationState, Metadata, MetadataType},
    job::Reason,
    token::Scope,
};
use runyard_store::both;

use self::yard::{Yard, item, processed};
use super::*;

fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Error::Invalid { fields } => fields.to_string(),
        other => other.to_string(),
    }
}

both! {
    async fn what_is_claimed_and_committed_is_done_once_with_its_results(db) {
        let yard = Yard::new(db, 10).await;
        let run = yard.worker_run().await;
        let claim = yard.claim(run, "a", 4).await;
        assert_eq!(claim.iter().map(|one| one.element.id).collect::<Vec<_>>(), yard.elements[..4]);
        assert!(claim.iter().all(|one| one.attempt == 1 && one.element.name.starts_with("No. ")));
        let items: Vec<_> = claim.iter().map(processed).collect();
        for outcome in ["accepted", "repeated", "repeated"] {
            let answers = yard.commit(run, items.clone()).await.unwrap();
            assert!(answers.iter().all(|answer| answer.outcome == outcome), "{answers:?}");
        }
        assert_eq!(yard.classes(&yard.elements[..4]).await, 4);
        let counts = counts(&yard.engine, &yard.admin, run).await.unwrap();
        assert_eq!(counts, Counts { queued: 6, started: 0, processed: 4, error: 0 });
        yard.counts_are_true(run).await;
    }

    async fn a_commit_from_a_lost_lease_is_refused_and_writes_nothing(db) {
        let yard = Yard::new(db, 3).await;
        let run = yard.worker_run().await;
        let late = yard.claim(run, "late", 3).await;
        yard.later(60_001);
        let again = yard.claim(run, "next", 2).await;
        assert_eq!((again.len(), again[0].attempt), (2, 2));
        let answers = yard.commit(run, late.iter().map(processed).collect()).await.unwrap();
        assert_eq!(answers.iter().map(|one| one.outcome).collect::<Vec<_>>(), ["lease_lost", "lease_lost", "accepted"]);
        assert!(answers[0].reason.as_ref().unwrap().contains("`next` has attempt 2 now; drop the result"));
        assert_eq!(yard.classes(&yard.elements).await, 1);
        yard.counts_are_true(run).await;
    }

    async fn what_a_later_attempt_finds_takes_the_place_of_what_earlier_ones_found(db) {
        let yard = Yard::new(db, 1).await;
        let run = yard.worker_run().await;
        let element = yard.elements[0];
        for round in 1..=3 {
            let claimed = yard.claim(run, "a", 1).await;
            let mut item = item(element, claimed[0].attempt, Outcome::Processed);
            item.results.classifications.push(Classification {
                class: format!("class {round}"), confidence: 0.5, high_confidence: false, state: ClassificationState::Pending,
            });
            item.results.children.push(Child { of_type: "line".into(), name: "l".into(), ..Child::default() });
            yard.commit(run, vec![item]).await.unwrap();
            assert_eq!(yard.classes(&[element]).await, 1);
            assert_eq!(yard.children(run).await, 1);
            let back = retry(&yard.engine, &yard.admin, run, Outcome::Processed, None, true).await.unwrap();
            assert_eq!(back, 1);
        }
        let failed = yard.claim(run, "a", 1).await;
        assert_eq!(failed[0].attempt, 4, "a retry does not make the token fall");
        yard.commit(run, vec![item(element, 4, Outcome::Error)]).await.unwrap();
        assert_eq!((yard.classes(&[element]).await, yard.children(run).await), (0, 0));
    }

    async fn a_poison_element_is_set_aside_alone_and_says_why(db) {
        let yard = Yard::new(db, 6).await;
        let run = yard.worker_run().await;
        let poison = yard.elements[2];
        let mut claims = 0;
        loop {
            let claimed = yard.claim(run, &format!("w{claims}"), 4).await;
            if claimed.is_empty() {
                break;
            }
            claims += 1;
            // The worker dies at the poison: what it held with it is not committed.
            if claimed.iter().any(|one| one.element.id == poison) {
                yard.later(60_001);
            } else {
                yard.commit(run, claimed.iter().map(processed).collect()).await.unwrap();
            }
            assert!(claims < 20);
        }
        let filter = Filter { states: vec![State::Error], limit: 10, ..Filter::default() };
        let failed = list(&yard.engine, &yard.admin, run, filter).await.unwrap();
        assert_eq!(failed.len(), 1, "others were condemned with it: {failed:?}");
        assert_eq!(failed[0].element_id, poison);
        assert_eq!(failed[0].error.as_deref(), Some("set aside after 3 attempts: the worker died each time"));
        let counts = counts(&yard.engine, &yard.admin, run).await.unwrap();
        assert_eq!((counts.processed, counts.error), (5, 1));
        yard.counts_are_true(run).await;
        let back = retry(&yard.engine, &yard.admin, run, Outcome::Error, Some(vec![poison]), true).await.unwrap();
        assert_eq!((back, yard.claim(run, "a", 1).await.len()), (1, 1), "a retry forgets the losses");
    }

    async fn a_holder_that_renews_keeps_what_it_has_and_gives_back_what_it_releases(db) {
        let yard = Yard::new(db, 4).await;
        let run = yard.worker_run().await;
        yard.claim(run, "a", 3).await;
        yard.claim(run, "b", 1).await;
        for _ in 0..3 {
            yard.later(50_000);
            let held = renew(&yard.engine, &yard.admin, run, "a".into(), None).await.unwrap();
            assert_eq!(held, 3);
        }
        assert_eq!(yard.claim(run, "c", 4).await.len(), 1, "only b's lease ran out");
        assert_eq!(renew(&yard.engine, &yard.admin, run, "b".into(), None).await.unwrap(), 0);
        let some = Some(vec![yard.elements[0], yard.elements[3]]);
        assert_eq!(release(&yard.engine, &yard.admin, run, "a".into(), some).await.unwrap(), 1);
        assert_eq!(release(&yard.engine, &yard.admin, run, "a".into(), None).await.unwrap(), 2);
        let counts = counts(&yard.engine, &yard.admin, run).await.unwrap();
        assert_eq!((counts.queued, counts.started), (3, 1));
        yard.counts_are_true(run).await;
    }

    async fn one_invalid_item_is_named_and_nothing_of_the_batch_is_written(db) {
        let yard = Yard::new(db, 4).await;
        let run = yard.worker_run().await;
        let claimed = yard.claim(run, "a", 3).await;
        let good: Vec<_> = claimed.iter().map(processed).collect();
        let with = |change: &dyn Fn(&mut CommitItem)| {
            let mut items = good.clone();
            change(&mut items[1]);
            items
        };
        let foreign = runyard_domain::ElementId::new(Millis(1), [9; 10]);
        let twice = good[0].element;
        let cases: Vec<(Vec<CommitItem>, &str)> = vec![
            (vec![], "items: has 0 items: commit 1 to 1000 at once"),
            (with(&|item| item.element = foreign), "is none of this worker run"),
            (with(&|item| item.element = twice), "items.1.element_id: is the same as that of item 0"),
            (with(&|item| item.attempt = 7), "items.1.attempt: attempt 7 was never handed out: the newest is 1"),
            (with(&|item| item.error = Some("x".into())), "items.1.error: goes with the state error"),
            (with(&|item| item.results.classifications[0].confidence = 2.0), "items.1.results.classifications.0.confidence"),
            (
                with(&|item| item.results.metadata.push(Metadata {
                    of_type: MetadataType::Numeric, name: "n".into(), value: "x".into(),
                })),
                "items.1.results.metadata.0.value: is `x`: numeric metadata is a number",
            ),
            (
                with(&|item| item.results.children.push(Child { of_type: "nonesuch".into(), name: "c".into(), ..Child::default() })),
                "items.1.results.children.0.type: there is no type `nonesuch` in this corpus",
            ),
        ];
        for (items, expected) in cases {
            let words = words(yard.commit(run, items).await);
            assert!(words.contains(expected), "{words}");
        }
        let counts = counts(&yard.engine, &yard.admin, run).await.unwrap();
        assert_eq!((counts.started, counts.processed), (3, 0));
        assert_eq!(yard.classes(&yard.elements).await, 0);
    }

    async fn workers_that_know_no_attempts_follow_the_table_of_states(db) {
        let yard = Yard::new(db, 3).await;
        let (engine, admin, run, element) = (&yard.engine, &yard.admin, yard.worker_run().await, yard.elements[0]);
        let start = |holder: &str| start(engine, admin, run, element, holder.into(), None);
        let end = |outcome, error: Option<&str>| finish(engine, admin, run, element, outcome, error.map(str::to_owned));
        let early = words(end(Outcome::Processed, None).await);
        assert_eq!(early, "an activity that is queued cannot become processed: start it first");
        assert_eq!(start("a").await.unwrap().attempt, 1);
        assert!(words(start("b").await).contains("the element is started: `a` holds it until"));
        end(Outcome::Error, Some("no such font")).await.unwrap();
        end(Outcome::Error, Some("again")).await.unwrap();
        assert!(words(end(Outcome::Processed, None).await).contains("is error cannot become processed"));
        assert_eq!(start("b").await.unwrap().attempt, 2);
        end(Outcome::Processed, None).await.unwrap();
        end(Outcome::Processed, None).await.unwrap();
        assert!(words(start("c").await).contains("processed cannot become started: it is done; retry it"));
        let other = runyard_domain::ElementId::new(Millis(1), [9; 10]);
        let missing = super::start(engine, admin, run, other, "a".into(), None).await;
        assert!(words(missing).contains("there is no element of this worker run"));
        let next = start_next(engine, admin, run, "d".into(), None).await.unwrap().unwrap();
        assert_eq!(next.element, yard.elements[1]);
        yard.later(60_001);
        let taken = super::start(engine, admin, run, yard.elements[1], "e".into(), None).await.unwrap();
        assert_eq!(taken.attempt, 2, "a killed worker's element comes back");
        start_next(engine, admin, run, "d".into(), None).await.unwrap().unwrap();
        assert_eq!(start_next(engine, admin, run, "d".into(), None).await.unwrap(), None);
        yard.counts_are_true(run).await;
    }

    async fn an_element_that_was_deleted_is_told_and_stops_nobody(db) {
        let yard = Yard::new(db, 3).await;
        let run = yard.worker_run().await;
        let gone = yard.elements[0];
        yard.engine.db.write(move |tx| store::element::delete::delete_all(tx, &[gone])).await.unwrap();
        assert_eq!(yard.claim(run, "a", 10).await.len(), 2);
        let filter = Filter { states: vec![State::Error], limit: 10, ..Filter::default() };
        let failed = list(&yard.engine, &yard.admin, run, filter).await.unwrap();
        assert_eq!(failed[0].error.as_deref(), Some("the element was deleted"));
        yard.counts_are_true(run).await;
    }

    async fn the_end_of_a_job_frees_what_its_processes_held_and_a_stop_is_no_mark(db) {
        let yard = Yard::new(db, 6).await;
        let (run, _) = yard.run_of_kind_worker().await;
        let worker_run = worker_run::of(run.id);
        let jobs: Vec<JobId> = (0..2).map(|_| yard.engine.id(JobId::new)).collect();
        for (job, number) in [(jobs[0], 0), (jobs[0], 1), (jobs[1], 0)] {
            yard.claim(worker_run, &runyard_domain::worker_run::holder(job, number), 2).await;
        }
        let end = async |run: Run, job, reason| {
            let exit = Exit::because(reason, "", Millis(0));
            yard.engine.db.write(move |tx| end_job(tx, &run, job, &exit, Millis(0))).await.unwrap();
        };
        end(run.clone(), jobs[0], Reason::Error).await;
        let counts = counts(&yard.engine, &yard.admin, worker_run).await.unwrap();
        assert_eq!((counts.queued, counts.started), (4, 2));
        let mut stopped = run;
        stopped.life.stop = Some(runyard_domain::run::Stop { requested_at: Millis(0), deadline: Millis(0) });
        end(stopped, jobs[1], Reason::Signaled).await;
        let all = list(&yard.engine, &yard.admin, worker_run, Filter { limit: 10, ..Filter::default() }).await.unwrap();
        let lost: Vec<i64> = all.iter().map(|one| one.activity.lost).collect();
        assert_eq!(lost, [1, 1, 1, 1, 0, 0]);
        yard.counts_are_true(worker_run).await;
    }

    async fn a_foreign_token_touches_nothing(db) {
        let yard = Yard::new(db, 2).await;
        let run = yard.worker_run().await;
        let own = yard.engine.id(RunId::new);
        let project = yard.project;
        let job = Actor { token_id: None, name: "job".into(), scope: Scope::Run(project, own) };
        let claim = claim(&yard.engine, &job, run, "a".into(), 1, None).await;
        let expected = format!("this token belongs to run {own}: it cannot touch worker run {run}");
        assert_eq!(words(claim), expected);
        let other = Actor { scope: Scope::Project(yard.engine.id(runyard_domain::ProjectId::new)), ..job };
        assert_eq!(words(worker_run::get(&yard.engine, &other, run).await), format!("there is no worker run `{run}`"));
        let nobody = yard.engine.id(WorkerRunId::new);
        let none = super::claim(&yard.engine, &yard.admin, nobody, "a".into(), 1, None).await;
        assert_eq!(words(none), format!("there is no worker run `{nobody}`"));
    }

    async fn many_workers_at_once_do_each_element_once(db) {
        let yard = Yard::new(db, 400).await;
        let run = yard.worker_run().await;
        let workers = (0..8).map(|n| {
            let (engine, admin) = (yard.engine.clone(), yard.admin.clone());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claim = claim(&engine, &admin, run, format!("w{n}"), 7, None).await.unwrap();
                    if claim.claimed.is_empty() {
                        assert!(claim.left >= 0);
                        return mine;
                    }
                    let items: Vec<_> = claim.claimed.iter().map(processed).collect();
                    let answers = commit(&engine, &admin, run, items).await.unwrap();
                    assert!(answers.iter().all(|answer| answer.outcome == "accepted"));
                    mine.extend(answers.into_iter().map(|answer| answer.element));
                }
            })
        });
        let mut done = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            done.extend(worker.await.unwrap());
        }
        done.sort();
        assert_eq!(done, yard.elements);
        assert_eq!(yard.classes(&yard.elements).await, 400);
        yard.counts_are_true(run).await;
    }
}
