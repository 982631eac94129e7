//! Workers that die, come late, repeat what they said, give back and are stopped, from a seed: every element is committed exactly
//! once in the end, and none is lost. `RUNYARD_SEED=n` runs one seed again.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::activity::tests::yard::item;

/// Elements of the worker run, and workers.
const ELEMENTS: usize = 60;
const WORKERS: usize = 5;
const SEEDS: std::ops::Range<u64> = 1..25;
/// Steps until the luck turns and no more workers die.
const STEPS: usize = 150;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A worker, as far as it knows.
#[derive(Default)]
struct Worker {
    life: u32,
    holding: Vec<Claimed>,
    /// Commits that it may send again, also after its death: answers are lost.
    sent: Vec<Vec<CommitItem>>,
}

struct World {
    yard: Yard,
    run: WorkerRunId,
    dice: Dice,
    workers: Vec<Worker>,
    /// Which attempt of each element was accepted, as the answers said.
    accepted: BTreeMap<ElementId, BTreeSet<i64>>,
}

impl World {
    fn holder(&self, n: usize) -> String {
        format!("job-{n}-{}/0", self.workers[n].life)
    }

    async fn step(&mut self, mortal: bool) {
        let n = self.dice.roll(WORKERS as u64) as usize;
        match self.dice.roll(if mortal { 12 } else { 6 }) {
            0..=2 => {
                let limit = 1 + self.dice.roll(6) as i64;
                let claimed = self.yard.claim(self.run, &self.holder(n), limit).await;
                self.workers[n].holding.extend(claimed);
            }
            3 | 4 => self.work(n).await,
            5 => {
                let _ =
                    renew(&self.yard.engine, &self.yard.admin, self.run, self.holder(n), None).await.unwrap();
                self.yard.later(self.dice.roll(2_000) as i64);
            }
            // Killed: nobody says so, and its leases run out.
            6 => {
                self.workers[n].life += 1;
                self.workers[n].holding.clear();
            }
            // So late that all leases ran out.
            7 => self.yard.later(self.dice.roll(90_000) as i64),
            8 => self.repeat(n).await,
            9 => {
                let holder = self.holder(n);
                release(&self.yard.engine, &self.yard.admin, self.run, holder, None).await.unwrap();
                self.workers[n].holding.clear();
            }
            // Its job ended, and the server knows.
            10 => {
                let (prefix, run) = (self.holder(n).trim_end_matches("/0").to_owned(), self.run);
                let died = self.dice.roll(2) == 0;
                self.yard.engine.db.write(move |tx| end(tx, run, &prefix, died)).await.unwrap();
                self.workers[n].life += 1;
            }
            // A person does not like what is there.
            _ => {
                retry(&self.yard.engine, &self.yard.admin, self.run, Outcome::Error, None, true)
                    .await
                    .unwrap();
            }
        }
    }

    /// Commits some of what the worker holds, also what it lost without knowing.
    async fn work(&mut self, n: usize) {
        let count = self.dice.roll(5) as usize + 1;
        let holding = &mut self.workers[n].holding;
        let some: Vec<Claimed> = holding.drain(..count.min(holding.len())).collect();
        let mut items = Vec::new();
        let mut seen = BTreeSet::new();
        for claimed in &some {
            if seen.insert(claimed.element.id) {
                let fails = self.dice.roll(10) == 0;
                items.push(if fails {
                    item(claimed.element.id, claimed.attempt, Outcome::Error)
                } else {
                    processed(claimed)
                });
            }
        }
        if !items.is_empty() {
            self.send(items.clone()).await;
            self.workers[n].sent.push(items);
        }
    }

    async fn repeat(&mut self, n: usize) {
        let sent = self.workers[n].sent.len() as u64;
        if sent > 0 {
            let which = self.dice.roll(sent) as usize;
            self.send(self.workers[n].sent[which].clone()).await;
        }
    }

    async fn send(&mut self, items: Vec<CommitItem>) {
        if items.is_empty() {
            return;
        }
        let answers = self.yard.commit(self.run, items.clone()).await.unwrap();
        for (item, answer) in items.iter().zip(&answers) {
            if answer.outcome == "accepted" {
                let fresh = self.accepted.entry(item.element).or_default().insert(item.attempt);
                assert!(fresh, "attempt {} of {} was accepted twice", item.attempt, item.element);
            }
        }
    }

    /// Nobody holds an element that somebody else holds, as the rows say.
    async fn check(&self) {
        self.yard.counts_are_true(self.run).await;
        let run = self.run;
        let rows =
            list(&self.yard.engine, &self.yard.admin, run, Filter { limit: 1000, ..Filter::default() }).await;
        for row in rows.unwrap() {
            assert_eq!(row.activity.lease.is_some(), row.activity.state == State::Started);
            if row.activity.state == State::Processed {
                let attempts = &self.accepted[&row.element_id];
                assert_eq!(attempts.last(), Some(&row.activity.attempt), "processed by nobody");
            }
        }
    }

    /// Immortal workers finish what is left.
    async fn finish(&mut self) {
        for _ in 0..2_000 {
            let counts = counts(&self.yard.engine, &self.yard.admin, self.run).await.unwrap();
            if counts.processed == ELEMENTS as i64 {
                return;
            }
            retry(&self.yard.engine, &self.yard.admin, self.run, Outcome::Error, None, true).await.unwrap();
            if counts.queued == 0 {
                self.yard.later(60_001);
            }
            let claimed = self.yard.claim(self.run, "last", 8).await;
            self.send(claimed.iter().map(processed).collect::<Vec<_>>()).await;
        }
        panic!("it does not come to an end");
    }
}

fn end(tx: &mut Tx, run: WorkerRunId, prefix: &str, died: bool) -> Result<()> {
    let mut ledger = store::worker_run::lock(tx, run)?.unwrap();
    let died = died.then_some((ledger.max_attempts, "died"));
    let lost = store::activity::lose(tx, run, prefix, died, Millis(0))?;
    ledger.counts.moved(State::Started, State::Queued, lost.queued);
    ledger.counts.moved(State::Started, State::Error, lost.set_aside);
    Ok(store::worker_run::save(tx, &ledger)?)
}

async fn play(seed: u64) {
    let yard = Yard::new(store::Db::inline().unwrap(), ELEMENTS).await;
    let run = yard.worker_run().await;
    let workers = (0..WORKERS).map(|_| Worker::default()).collect();
    let mut world = World { yard, run, dice: Dice(seed), workers, accepted: BTreeMap::new() };
    for step in 0..STEPS {
        world.step(true).await;
        if step % 10 == 0 {
            world.check().await;
        }
    }
    world.finish().await;
    world.check().await;
    let classes = world.yard.classes(&world.yard.elements).await;
    assert_eq!(classes, ELEMENTS, "each element has the results of exactly one attempt");
    assert_eq!(world.accepted.len(), ELEMENTS, "none was lost");
}

#[tokio::test]
async fn whatever_happens_to_workers_every_element_is_done_once_and_none_is_lost() {
    let seeds = match std::env::var("RUNYARD_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => SEEDS,
    };
    for seed in seeds {
        let played = tokio::spawn(play(seed)).await;
        assert!(played.is_ok(), "seed {seed} fails: RUNYARD_SEED={seed} runs it again");
    }
}
