//! Which checkpoints go when one completes.

use runyard_domain::checkpoint::{KeepBest, Mode};

use super::*;
use crate::metric::NewMetric;

impl Yard {
    async fn loss(&self, run: &Run, step: i64, value: serde_json::Value) {
        let metric = NewMetric { tag: "val/loss".into(), global_step: step, value, created_at: None };
        crate::metric::post(&self.engine, &self.admin, run.id, None, vec![metric]).await.unwrap();
    }

    async fn steps(&self) -> Vec<i64> {
        self.listed(&self.admin).await.into_iter().filter_map(|set| set.global_step).collect()
    }
}

#[tokio::test]
async fn the_last_ones_stay_and_the_files_of_others_go() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(Some(Retention { keep_last: Some(2), ..Retention::default() })).await;
    let mut last = Vec::new();
    for step in [10, 20, 30, 40] {
        last.push(key(&yard.saved(&actor, &run, step).await, HELLO.0));
    }
    assert_eq!(yard.steps().await, [40, 30]);
    assert_eq!(yard.objects().await, last[2..]);
}

#[tokio::test]
async fn the_best_by_a_metric_and_every_so_many_steps_stay_beside_the_newest() {
    let yard = Yard::new().await;
    let best = KeepBest { tag: "val/loss".into(), mode: Mode::Min, count: 1 };
    let retention = Retention { keep_best: Some(best), keep_every: Some(50), ..Retention::default() };
    let (run, _, actor) = yard.run(Some(retention)).await;
    let losses = [(10, "0.5"), (20, "0.1"), (30, "null"), (50, "0.9"), (60, "0.2"), (70, "0.3")];
    for (step, loss) in losses {
        yard.loss(&run, step, serde_json::from_str(loss).unwrap()).await;
        yard.saved(&actor, &run, step).await;
    }
    assert_eq!(yard.steps().await, [70, 50, 20]);
}

#[tokio::test]
async fn what_is_being_uploaded_stays_and_artifacts_are_no_checkpoints() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(Some(Retention { keep_last: Some(1), ..Retention::default() })).await;
    let open = yard.checkpoint(&actor, &run, 1).await.unwrap();
    yard.announce(&actor, &open, &[new(HELLO)]).await.unwrap();
    yard.send(&open, HELLO).await;
    yard.saved(&actor, &run, 2).await;
    yard.saved(&actor, &run, 3).await;
    assert_eq!(yard.steps().await, [3, 1]);
    // It began first: once it is complete, it is the older one.
    yard.complete(&actor, &open).await.unwrap();
    assert_eq!(yard.steps().await, [3]);
}

#[tokio::test]
async fn what_another_run_is_about_to_read_stays_until_that_has_ended() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(Some(Retention { keep_last: Some(1), ..Retention::default() })).await;
    let wanted = yard.saved(&actor, &run, 1).await;
    let (mut reader, _, _) = yard.run(None).await;
    let link = store::channel::Link {
        run_id: reader.id,
        project_id: reader.project_id,
        direction: runyard_domain::channel::Direction::Input,
        channel: "in".into(),
        kind: runyard_domain::channel::Kind::Checkpoint,
        uri: "checkpoint://digits@latest".into(),
        target_id: Some(wanted.id.to_string()),
        place: String::new(),
        from_run_id: Some(run.id),
    };
    yard.engine.db.write(move |tx| store::channel::insert(tx, std::slice::from_ref(&link))).await.unwrap();
    yard.saved(&actor, &run, 2).await;
    assert_eq!(yard.steps().await, [2, 1]);
    reader.life.status = runyard_domain::run::Status::JobCompleted;
    yard.engine.db.write(move |tx| store::run::save_life(tx, &reader)).await.unwrap();
    yard.saved(&actor, &run, 3).await;
    assert_eq!(yard.steps().await, [3]);
}

#[tokio::test]
async fn without_rules_all_stay() {
    let yard = Yard::new().await;
    let (run, _, actor) = yard.run(None).await;
    for step in [1, 2, 3] {
        yard.saved(&actor, &run, step).await;
    }
    assert_eq!(yard.steps().await, [3, 2, 1]);
}
