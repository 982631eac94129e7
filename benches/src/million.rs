//! A database with a million runs that have ended, as a team has them after some years: written through the store.

use runyard_domain::{
    BlueprintId, Millis, ProjectId,
    run::{Run, Status},
};
use runyard_store::{Db, Error, project, testing};

use crate::Result;

/// Runs in one transaction.
const BATCH: u64 = 4_000;
/// When the first run was made; one every second since.
const FIRST: i64 = 1_700_000_000_000;

/// The project that half of the runs are in; the others are spread over nine.
pub(crate) fn large_project() -> ProjectId {
    testing::project(1).id
}

/// The blueprint that a fifth of the runs are made from.
pub(crate) fn blueprint() -> BlueprintId {
    BlueprintId::new(Millis(1), [1; 10])
}

/// Writes the runs; what is asked for below is in the same proportions everywhere in time.
pub(crate) async fn fill(db: &Db, runs: u64) -> Result<()> {
    db.write(|tx| (1..=10).try_for_each(|n| project::insert(tx, &testing::project(n)))).await?;
    let mut from = 0;
    while from < runs {
        let to = runs.min(from + BATCH);
        let batch: Vec<Run> = (from..to).map(run).collect();
        db.write(move |tx| testing::insert_runs(tx, &batch)).await.map_err(|error: Error| error)?;
        if to.is_multiple_of(BATCH * 50) {
            crate::progress(&format!("{to} of {runs} runs are written"));
        }
        from = to;
    }
    Ok(())
}

/// Run number `n`. Independent of each other: project, status (6 completed, 3 failed, 1 terminated of 10), model, team,
/// blueprint (a fifth each). A label `sweep` has 1,000 values; one name in 10,000 has `needle` in it.
fn run(n: u64) -> Run {
    let mut dice = Dice(n);
    let project = if dice.below(2) == 0 { 1 } else { 2 + dice.below(9) as u8 };
    let mut run = testing::run(n, Millis(FIRST + n as i64 * 1_000), testing::project(project).id);
    run.life.status = match dice.below(10) {
        0..6 => Status::JobCompleted,
        6..9 => Status::JobFailed,
        _ => Status::JobTerminated,
    };
    let model = ["resnet50", "unet", "bert-base", "yolo-v8", "gpt-mini"][dice.below(5) as usize];
    let rare = if dice.below(10_000) == 0 { "-needle" } else { "" };
    run.name = format!("{model}-digits{rare}-{n}");
    let team = ["vision", "text", "speech", "maps", "core"][dice.below(5) as usize];
    run.labels.insert("team".into(), team.into());
    run.labels.insert("sweep".into(), dice.below(1_000).to_string());
    let blueprint = 1 + dice.below(5) as u8;
    run.blueprint_id = Some(BlueprintId::new(Millis(blueprint.into()), [blueprint; 10]));
    run
}

/// Numbers that look random and are the same for the same run.
struct Dice(u64);

impl Dice {
    /// The next number below `n` (SplitMix64).
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}
