//! Lists of runs, held against a list that is filtered by hand.

use runyard_domain::{
    BlueprintId, Millis, ProjectId, RunId,
    run::{Run, Status},
};

use super::{Filter, Sort, SortField, get, insert, list};
use crate::{Db, both, project, testing};

const STATUSES: [Status; 5] = [
    Status::JobCompleted,
    Status::JobCompleted,
    Status::JobFailed,
    Status::JobTerminated,
    Status::JobRunning,
];

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// Up to `most` of them, now and then one twice; mostly none.
    fn some<T: Copy>(&mut self, of: &[T], most: usize) -> Vec<T> {
        let count = self.below(3 * most).saturating_sub(2 * most - 1);
        (0..count).map(|_| of[self.below(of.len())]).collect()
    }
}

fn projects() -> [ProjectId; 3] {
    [1, 2, 3].map(|n| testing::project(n).id)
}

fn blueprints() -> [BlueprintId; 2] {
    [1, 2].map(|n| BlueprintId::new(Millis(n.into()), [n; 10]))
}

/// A hundred runs, several of them in the same millisecond.
async fn hundred_runs(db: &Db) -> Vec<Run> {
    let mut dice = Dice(7);
    let mut runs: Vec<Run> = (0..100)
        .map(|n| {
            let mut run = testing::run(n, Millis(1_000 + n as i64 / 3), projects()[dice.below(3)]);
            run.name = format!("{}-{n}", ["ResNet", "unet", "a_b"][dice.below(3)]);
            run.version = ["1", "2"][dice.below(2)].into();
            run.life.status = STATUSES[dice.below(STATUSES.len())];
            run.blueprint_id = dice.some(&blueprints(), 1).pop();
            for (key, values) in [("team", ["red", "blue"]), ("sweep", ["1", "2"])] {
                if dice.below(2) == 0 {
                    run.labels.insert(key.into(), values[dice.below(2)].into());
                }
            }
            run
        })
        .collect();
    runs.sort_by_key(|run| run.id);
    let written = runs.clone();
    db.write(move |tx| {
        (1..=3).try_for_each(|n| project::insert(tx, &testing::project(n)))?;
        testing::insert_runs(tx, &written)
    })
    .await
    .unwrap();
    runs
}

fn random_filter(dice: &mut Dice, runs: &[Run]) -> Filter {
    let labels = [
        ("team", Some("red")),
        ("team", Some("green")),
        ("team", None),
        ("sweep", Some("1")),
        ("sweep", None),
    ];
    let labels = dice.some(&labels, 2).into_iter();
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let times = [Millis(-5), Millis(0), Millis(1_010), Millis(1_020), Millis(1 << 48), Millis(i64::MAX)];
    Filter {
        ids: if dice.below(6) == 0 { dice.some(&ids, 40) } else { Vec::new() },
        project_ids: dice.some(&projects(), 3),
        blueprint_ids: dice.some(&blueprints(), 2),
        name_ilikes: dice.some(&["resnet%", "%-1%", r"%\_%"], 2).into_iter().map(Into::into).collect(),
        versions: dice.some(&["1", "2"], 1).into_iter().map(Into::into).collect(),
        statuses: dice.some(&STATUSES, 3),
        labels: labels.map(|(key, value)| (key.into(), value.map(Into::into))).collect(),
        created_after: dice.some(&times, 1).pop(),
        created_before: dice.some(&times, 1).pop(),
        id_after: dice.some(&ids, 1).pop(),
        sort: Sort {
            field: [SortField::Id, SortField::CreatedAt][dice.below(2)],
            descending: dice.below(2) == 0,
        },
        limit: [0, 1, 7, 100][dice.below(4)],
        offset: [0, 0, 3, 200][dice.below(4)],
        ..Filter::default()
    }
}

fn any<T: PartialEq>(of: &[T], value: &T) -> bool {
    of.is_empty() || of.contains(value)
}

/// Whether a name matches one of the patterns of [`random_filter`].
fn named(patterns: &[String], name: &str) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match pattern.as_str() {
            "resnet%" => name.starts_with("ResNet"),
            "%-1%" => name.contains("-1"),
            _ => name.contains('_'),
        })
}

/// The same list, by hand: `runs` are in the order of their ids.
fn by_hand(runs: &[Run], filter: &Filter) -> Vec<RunId> {
    let labelled = |run: &Run| {
        filter.labels.iter().all(|(key, value)| {
            run.labels.get(key).is_some_and(|own| value.as_ref().is_none_or(|value| own == value))
        })
    };
    let within = |run: &Run| {
        filter.created_after.is_none_or(|after| run.created_at > after)
            && filter.created_before.is_none_or(|before| run.created_at < before)
            && filter
                .id_after
                .is_none_or(|after| if filter.sort.descending { run.id < after } else { run.id > after })
    };
    let mut found: Vec<RunId> = runs
        .iter()
        .filter(|run| any(&filter.ids, &run.id) && any(&filter.project_ids, &run.project_id))
        .filter(|run| {
            filter.blueprint_ids.is_empty()
                || run.blueprint_id.is_some_and(|id| filter.blueprint_ids.contains(&id))
        })
        .filter(|run| named(&filter.name_ilikes, &run.name) && any(&filter.versions, &run.version))
        .filter(|run| any(&filter.statuses, &run.life.status) && labelled(run) && within(run))
        .map(|run| run.id)
        .collect();
    if filter.sort.descending {
        found.reverse();
    }
    found.into_iter().skip(filter.offset as usize).take(filter.limit as usize).collect()
}

both! {
    async fn a_list_is_what_filtering_by_hand_gives_whatever_the_filter(db) {
        let runs = hundred_runs(&db).await;
        let mut dice = Dice(11);
        let mut sizes = Vec::new();
        for _ in 0..600 {
            let filter = random_filter(&mut dice, &runs);
            let asked = filter.clone();
            let found = db.read(move |tx| list(tx, &asked)).await.unwrap();
            let found: Vec<RunId> = found.iter().map(|run| run.id).collect();
            assert_eq!(found, by_hand(&runs, &filter), "{filter:?}");
            sizes.push(found.len());
        }
        assert!(sizes.iter().filter(|&&size| size > 1).count() > 100, "most filters find nothing: {sizes:?}");
    }

    async fn every_filter_can_be_explained(db) {
        let runs = hundred_runs(&db).await;
        let mut dice = Dice(13);
        for _ in 0..20 {
            let filter = random_filter(&mut dice, &runs);
            assert!(!db.read(move |tx| testing::explain_runs(tx, &filter)).await.unwrap().is_empty());
        }
    }

    async fn a_run_comes_back_as_it_was_written(db) {
        let owner = testing::project(1);
        let mut run = testing::run(1, Millis(5), owner.id);
        run.life.status = Status::RunCreated;
        run.blueprint_id = Some(blueprints()[0]);
        run.labels.insert("team".into(), "red".into());
        run.notes = Some("of the tests".into());
        run.spec.source = Some("0".repeat(64));
        let (written, id) = (run.clone(), run.id);
        db.write(move |tx| {
            project::insert(tx, &owner)?;
            insert(tx, &written, "me")
        })
        .await
        .unwrap();
        assert_eq!(db.read(move |tx| get(tx, id)).await.unwrap(), Some(run));
    }
}
