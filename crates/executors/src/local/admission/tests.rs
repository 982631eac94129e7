//! Admission, by example and by property: a small simulation drives it through arrivals and ends.

use proptest::prelude::*;

use super::*;

const GI: i64 = 1 << 30;

fn machine(cpu: i64, memory_gi: i64, gpus: &[(&str, &str)]) -> Machine {
    let gpu = |&(id, kind): &(&str, &str)| Gpu { id: id.into(), kind: kind.into() };
    let gpus = gpus.iter().map(gpu).collect();
    Machine { cpu_milli: cpu * 1000, memory_bytes: memory_gi * GI, disk_bytes: 1 << 40, gpus }
}

fn cpus(cpu: i64) -> Demand {
    Demand { cpu_milli: cpu * 1000, ..Demand::default() }
}

fn gpus(count: i64, kind: Option<&str>) -> Demand {
    Demand { gpu_count: count, gpu_type: kind.map(str::to_owned), ..cpus(1) }
}

fn id(n: u8) -> JobId {
    JobId::new(Millis(i64::from(n)), [n; 10])
}

fn waiting(n: u8, demand: &Demand, created_at: i64) -> Waiting<'_> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    Waiting {
        id: id(n),
        run_name: NAMES[usize::from(n)],
        demand,
        priority: 0,
        created_at: Millis(created_at),
        lasts_ms: None,
    }
}

fn running(demand: &Demand) -> Running<'_> {
    Running { demand, gpus: &[], ends_by: None }
}

fn started(decisions: &[Decision]) -> Vec<usize> {
    let is_start = |&i: &usize| matches!(decisions[i], Decision::Start { .. });
    (0..decisions.len()).filter(is_start).collect()
}

fn reason(decision: &Decision) -> &str {
    match decision {
        Decision::Wait(reason) => reason,
        Decision::Start { .. } => panic!("it starts"),
    }
}

#[test]
fn what_has_room_starts_the_oldest_first() {
    let (machine, one, two) = (machine(3, 1, &[]), cpus(1), cpus(2));
    let jobs = [waiting(0, &two, 30), waiting(1, &two, 10), waiting(2, &one, 20)];
    assert_eq!(started(&admit(&machine, &[], &jobs, Millis(40))), [1, 2]);
}

#[test]
fn a_higher_priority_goes_before_age() {
    let (machine, two) = (machine(2, 1, &[]), cpus(2));
    let urgent = Waiting { priority: 1, ..waiting(1, &two, 20) };
    assert_eq!(started(&admit(&machine, &[], &[waiting(0, &two, 10), urgent], Millis(30))), [1]);
}

#[test]
fn a_waiting_job_is_told_what_is_missing() {
    let machine = machine(8, 4, &[("g0", "A100"), ("g1", "T4")]);
    let taken = Demand { cpu_milli: 6500, memory_bytes: Some(GI), ..gpus(1, None) };
    let given = ["g0".to_owned()];
    let all = [Running { gpus: &given, ..running(&taken) }];
    let answer =
        |demand: &Demand| reason(&admit(&machine, &all, &[waiting(0, demand, 0)], Millis(1))[0]).to_owned();
    assert_eq!(answer(&cpus(4)), "waits for 4 CPU: 1.5 of 8 are free");
    let memory = Demand { memory_bytes: Some(4 * GI), ..gpus(1, Some("A100")) };
    assert_eq!(answer(&memory), "waits for 4Gi of memory: 3Gi of 4Gi are free; 1 A100 GPU: 0 of 1 are free");
    assert_eq!(answer(&cpus(9)), "waits for 9 CPU: this machine never has that");
}

#[test]
fn a_run_without_a_memory_limit_sets_no_memory_aside() {
    let (machine, no_limit, all) =
        (machine(8, 4, &[]), cpus(1), Demand { memory_bytes: Some(4 * GI), ..cpus(1) });
    let jobs = [waiting(0, &no_limit, 0), waiting(1, &all, 1), waiting(2, &no_limit, 2)];
    assert_eq!(started(&admit(&machine, &[running(&no_limit)], &jobs, Millis(3))), [0, 1, 2]);
}

#[test]
fn a_small_job_passes_a_large_one_for_a_bounded_time_only() {
    let (machine, four, large, small) = (machine(8, 1, &[]), cpus(4), cpus(6), cpus(1));
    let jobs = [waiting(0, &large, 0), waiting(1, &small, 1)];
    let at = |now: i64| admit(&machine, &[running(&four)], &jobs, Millis(now));
    assert_eq!(started(&at(PATIENCE_MS - 1)), [1]);
    let later = at(PATIENCE_MS);
    assert_eq!(started(&later), [] as [usize; 0]);
    assert_eq!(reason(&later[0]), "waits for 6 CPU: 4 of 8 are free");
    assert_eq!(reason(&later[1]), "waits behind run a, which needs 6 CPU");
}

#[test]
fn a_job_that_surely_ends_in_time_passes_for_ever() {
    let (machine, four, large, small) = (machine(8, 1, &[]), cpus(4), cpus(6), cpus(1));
    let now = PATIENCE_MS;
    let first = Running { ends_by: Some(Millis(now + 5_000)), ..running(&four) };
    let lasting = |ms| Waiting { lasts_ms: Some(ms), ..waiting(1, &small, 1) };
    let with = |small| admit(&machine, &[first], &[waiting(0, &large, 0), small], Millis(now));
    assert_eq!(started(&with(lasting(5_000))), [1]);
    assert_eq!(started(&with(lasting(5_001))), [] as [usize; 0]);
    let endless = [running(&four)];
    let nobody_knows = admit(&machine, &endless, &[waiting(0, &large, 0), lasting(1)], Millis(now));
    assert_eq!(started(&nobody_knows), [] as [usize; 0]);
}

#[test]
fn what_the_large_job_does_not_need_is_not_set_aside() {
    let machine = machine(8, 1, &[("g0", "T4")]);
    let (busy, given) = (gpus(1, None), ["g0".to_owned()]);
    let wants_gpu = gpus(1, Some("T4"));
    let (fits, too_much) = (cpus(6), cpus(1));
    let jobs = [waiting(0, &wants_gpu, 0), waiting(1, &fits, 1), waiting(2, &too_much, 2)];
    let decisions =
        admit(&machine, &[Running { gpus: &given, ..running(&busy) }], &jobs, Millis(PATIENCE_MS));
    assert_eq!(started(&decisions), [1], "6 of the 7 free CPU are not needed by the first");
    assert_eq!(reason(&decisions[2]), "waits behind run a, which needs 1 CPU and 1 T4 GPU");
}

#[test]
fn a_job_that_can_never_start_holds_up_nobody() {
    let (machine, never, small) = (machine(2, 1, &[]), cpus(3), cpus(2));
    let jobs = [waiting(0, &never, 0), waiting(1, &small, 1)];
    assert_eq!(started(&admit(&machine, &[], &jobs, Millis(10 * PATIENCE_MS))), [1]);
}

#[test]
fn gpus_are_given_by_type_and_never_twice() {
    let machine = machine(8, 1, &[("t0", "T4"), ("t1", "T4"), ("a0", "A100")]);
    let (t4, any, two) = (gpus(1, Some("T4")), gpus(1, None), gpus(2, None));
    let given = ["t0".to_owned()];
    let busy = [Running { gpus: &given, ..running(&t4) }];
    let jobs = [waiting(0, &any, 0), waiting(1, &t4, 1), waiting(2, &any, 2), waiting(3, &two, 3)];
    let decisions = admit(&machine, &busy, &jobs, Millis(4));
    let start = |id: &str| Decision::Start { gpus: vec![id.to_owned()] };
    assert_eq!(decisions[..2], [start("a0"), start("t1")]);
    assert_eq!(reason(&decisions[2]), "waits for 1 GPU: 0 of 3 are free");
    assert_eq!(reason(&decisions[3]), "waits for 2 GPU of one type: 0 of 3 are free");
    let both = admit(&machine, &[], &[waiting(0, &two, 0)], Millis(1));
    assert_eq!(both, [Decision::Start { gpus: vec!["t0".into(), "t1".into()] }], "GPUs of one type");
}

#[test]
fn amounts_are_written_as_people_write_them() {
    let cpu: Vec<_> = [0, 1, 100, 1500, 64_000].map(cpu_text).into();
    assert_eq!(cpu, ["0", "0.001", "0.1", "1.5", "64"]);
    let sizes: Vec<_> = [0, 1023, 4 << 20, 1 << 30, 8_160_437_862, i64::MAX].map(size_text).into();
    assert_eq!(sizes, ["0", "1023", "4Mi", "1Gi", "7.5Gi", "8388607.9Ti"]);
}

/// A job of the simulation.
#[derive(Debug, Clone)]
struct Task {
    arrives: i64,
    takes_ms: i64,
    /// The limit that is known beforehand, at or above what it takes.
    limit_ms: Option<i64>,
    demand: Demand,
    priority: i64,
}

fn task() -> impl Strategy<Value = Task> {
    let kind = prop_oneof![Just(None), Just(Some("T4".to_owned())), Just(Some("A100".to_owned()))];
    let demand = (1..=8_000_i64, prop::option::of(1..=16 * GI), 0..=2_i64, kind);
    (0..200_i64, 1..60_000_i64, prop::option::of(0..60_000_i64), demand, 0..3_i64).prop_map(
        |(arrives, takes_ms, more, (cpu_milli, memory_bytes, gpu_count, gpu_type), priority)| Task {
            arrives: arrives * 1000,
            takes_ms,
            limit_ms: more.map(|more| takes_ms + more),
            demand: Demand { cpu_milli, memory_bytes, gpu_count, gpu_type, ..Demand::default() },
            priority,
        },
    )
}

fn test_machine() -> Machine {
    machine(8, 16, &[("t0", "T4"), ("a0", "A100"), ("t1", "T4"), ("a1", "A100")])
}

fn task_id(i: usize) -> JobId {
    JobId::new(Millis(i as i64), [0; 10])
}

fn as_waiting(i: usize, task: &Task) -> Waiting<'_> {
    Waiting {
        id: task_id(i),
        run_name: "x",
        demand: &task.demand,
        priority: task.priority,
        created_at: Millis(task.arrives),
        lasts_ms: task.limit_ms,
    }
}

/// A started task: its number, its GPUs, when it started.
type Started = (usize, Vec<String>, i64);

fn assert_within(machine: &Machine, tasks: &[Task], active: &[Started]) {
    let sum = |of: &dyn Fn(&Demand) -> i64| active.iter().map(|(i, ..)| of(&tasks[*i].demand)).sum::<i64>();
    assert!(sum(&|demand| demand.cpu_milli) <= machine.cpu_milli, "more CPU than there is");
    assert!(
        sum(&|demand| demand.memory_bytes.unwrap_or(0)) <= machine.memory_bytes,
        "more memory than there is"
    );
    let mut given: Vec<&String> = active.iter().flat_map(|(_, gpus, _)| gpus).collect();
    given.sort();
    assert!(given.windows(2).all(|pair| pair[0] != pair[1]), "a GPU was given twice: {given:?}");
    for (i, gpus, _) in active {
        let demand = &tasks[*i].demand;
        assert_eq!(gpus.len() as i64, demand.gpu_count);
        let kinds: Vec<&str> =
            (machine.gpus.iter()).filter(|gpu| gpus.contains(&gpu.id)).map(|gpu| gpu.kind.as_str()).collect();
        assert!(kinds.windows(2).all(|pair| pair[0] == pair[1]), "GPUs of several types: {kinds:?}");
        assert!(demand.gpu_type.as_deref().is_none_or(|kind| kinds.iter().all(|&k| k == kind)));
    }
}

/// Runs all tasks second by second; answers when each started.
fn simulate(machine: &Machine, tasks: &[Task], until: i64) -> Vec<Option<i64>> {
    let mut starts = vec![None; tasks.len()];
    let mut active: Vec<Started> = Vec::new();
    for now in (0..until).step_by(1000) {
        active.retain(|&(i, _, at)| at + tasks[i].takes_ms > now);
        let queue: Vec<usize> =
            (0..tasks.len()).filter(|&i| starts[i].is_none() && tasks[i].arrives <= now).collect();
        let running: Vec<Running<'_>> = (active.iter())
            .map(|(i, gpus, at)| {
                let ends_by = tasks[*i].limit_ms.map(|ms| Millis(at + ms));
                Running { demand: &tasks[*i].demand, gpus, ends_by }
            })
            .collect();
        let waiting: Vec<Waiting<'_>> = queue.iter().map(|&i| as_waiting(i, &tasks[i])).collect();
        let decisions = admit(machine, &running, &waiting, Millis(now));
        for (i, decision) in queue.into_iter().zip(decisions) {
            if let Decision::Start { gpus } = decision {
                starts[i] = Some(now);
                active.push((i, gpus, now));
            }
        }
        assert_within(machine, tasks, &active);
    }
    starts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_promised_twice_and_everything_starts(tasks in prop::collection::vec(task(), 1..60)) {
        let longest: i64 = tasks.iter().map(|task| task.takes_ms + 1000).sum();
        let starts = simulate(&test_machine(), &tasks, 200_000 + PATIENCE_MS + longest);
        prop_assert!(starts.iter().all(Option::is_some), "never started: {starts:?}");
    }

    #[test]
    fn an_endless_stream_of_small_jobs_cannot_starve_a_large_one(
        takes in prop::collection::vec((1..60_000_i64, prop::option::of(0..30_000_i64)), 1..20),
        per_second in 1..4_usize,
        large_at in 0..60_i64,
        large_gpus in 0..=2_i64,
    ) {
        let small = |n: usize| {
            let (takes_ms, more) = takes[n % takes.len()];
            let demand = Demand { gpu_count: (n % 2) as i64, gpu_type: Some("T4".into()), ..cpus(1) };
            let arrives = (n / per_second) as i64 * 1000;
            Task { arrives, takes_ms, limit_ms: more.map(|more| takes_ms + more), demand, priority: 0 }
        };
        let until = large_at * 1000 + PATIENCE_MS + 90_000 + 2_000;
        let mut tasks: Vec<Task> = (0..(until / 1000) as usize * per_second).map(small).collect();
        let demand = Demand { gpu_count: large_gpus, gpu_type: Some("T4".into()), ..cpus(8) };
        tasks.push(Task { arrives: large_at * 1000, takes_ms: 1, limit_ms: None, demand, priority: 1 });
        let starts = simulate(&test_machine(), &tasks, until);
        prop_assert!(starts[tasks.len() - 1].is_some(), "starved by small ones");
    }

    #[test]
    fn a_job_never_starts_before_an_equal_or_smaller_one_that_ranks_higher(
        tasks in prop::collection::vec(task(), 1..40),
    ) {
        let tasks: Vec<Task> = tasks.into_iter().map(|task| Task { limit_ms: None, ..task }).collect();
        let waiting: Vec<Waiting<'_>> = tasks.iter().enumerate().map(|(i, task)| as_waiting(i, task)).collect();
        let decisions = admit(&test_machine(), &[], &waiting, Millis(210_000));
        let starts = |i: usize| matches!(decisions[i], Decision::Start { .. });
        let rank = |i: usize| (-tasks[i].priority, tasks[i].arrives, i);
        let no_larger = |a: &Demand, b: &Demand| {
            a.cpu_milli <= b.cpu_milli && a.memory_bytes.unwrap_or(0) <= b.memory_bytes.unwrap_or(0)
                && a.gpu_count <= b.gpu_count && (a.gpu_type == b.gpu_type || a.gpu_count == 0)
        };
        for (i, j) in (0..tasks.len()).flat_map(|i| (0..tasks.len()).map(move |j| (i, j))) {
            if rank(i) < rank(j) && no_larger(&tasks[i].demand, &tasks[j].demand) {
                prop_assert!(!starts(j) || starts(i), "{j} started before {i}");
            }
        }
    }

    #[test]
    fn the_order_of_the_list_changes_nothing(tasks in prop::collection::vec(task(), 1..40), by in 0..40_usize) {
        let waiting: Vec<Waiting<'_>> = tasks.iter().enumerate().map(|(i, task)| as_waiting(i, task)).collect();
        let mut turned = waiting.clone();
        turned.rotate_left(by % tasks.len());
        let mut decisions = admit(&test_machine(), &[], &turned, Millis(120_000));
        decisions.rotate_right(by % tasks.len());
        prop_assert_eq!(decisions, admit(&test_machine(), &[], &waiting, Millis(120_000)));
    }
}
