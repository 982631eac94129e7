//! The simulator: engine and store under a fake executor, fake runners and a fake clock, driven by a seed.
//!
//! Between any two effects (before a commit, after it, before a call of the executor, after it) the server may be
//! killed; messages of runners are lost, repeated, or their answers are lost; runners are killed; the back end goes
//! out of sight. Whatever happens, no program is launched twice, no log line is lost or doubled, every run's log
//! follows the table of statuses, and every run ends as it truly ended.

#[path = "simulator/plan.rs"]
mod plan;
#[path = "simulator/world.rs"]
mod world;
#[path = "simulator/yard.rs"]
mod yard;

use yard::Yard;

/// How many seeds a run of the tests tries.
const SEEDS: u64 = 1_200;

#[test]
fn no_seed_loses_a_line_launches_twice_or_lies_about_an_end() {
    if let Ok(seed) = std::env::var("RUNYARD_SEED") {
        return Yard::new(seed.parse().expect("RUNYARD_SEED is a number")).live();
    }
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || (first..SEEDS).step_by(threads as usize).find(|&seed| !holds(seed)))
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("holds() catches panics")).collect()
    });
    assert!(failed.is_empty(), "failing seeds: {failed:?}; run one again with RUNYARD_SEED=n");
}

#[test]
fn a_job_that_its_back_end_forgot_lives_as_long_as_its_runner_speaks() {
    Yard::new(3).forget();
}

#[test]
fn what_is_seen_of_a_job_is_never_taken_for_its_retry() {
    Yard::new(4).retry_while_looking();
}

fn holds(seed: u64) -> bool {
    std::panic::catch_unwind(|| Yard::new(seed).live()).is_ok()
}
