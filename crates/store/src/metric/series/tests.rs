use runyard_domain::{
    JobId, Millis,
    metric::Value::{Float, Int},
};

use super::*;
use crate::{both, db::Db, metric::append};

fn run(n: u8) -> RunId {
    RunId::new(Millis(n.into()), [n; 10])
}

async fn write(db: &Db, n: u8, epoch: i64, groups: Vec<(&str, Vec<Point>)>) {
    let groups: Vec<_> = groups.into_iter().map(|(tag, points)| (tag.to_owned(), points)).collect();
    db.write(move |tx| append(tx, run(n), JobId::new(Millis(epoch), [n; 10]), epoch, &groups)).await.unwrap();
}

struct Asked {
    axis: Axis,
    buckets: usize,
    range: Option<(i64, i64)>,
}

/// What a chart of all tags of these runs shows: run, tag and the filled buckets.
async fn chart(db: &Db, runs: &[u8], asked: Asked) -> Vec<(RunId, String, Vec<Summary>)> {
    let runs: Vec<RunId> = runs.iter().map(|n| run(*n)).collect();
    db.read(move |tx| {
        let curves = curves(tx, &runs, &[])?;
        let Some((from, to)) = extent(tx, &curves, asked.axis)? else { return Ok(Vec::new()) };
        let (from, to) = asked.range.unwrap_or((from, to));
        let grid = Grid::new(from, to, asked.buckets).expect("a range");
        let all = buckets(tx, &curves, asked.axis, grid)?;
        let filled = |buckets: &Buckets| buckets.filled().copied().collect();
        Ok::<_, Error>(curves.iter().zip(&all).map(|(c, b)| (c.run, c.tag.to_string(), filled(b))).collect())
    })
    .await
    .unwrap()
}

/// The same from all points, by the domain's own rule.
async fn expected(db: &Db, runs: &[u8], axis: Axis, grid: Grid) -> Vec<(RunId, String, Vec<Summary>)> {
    let run_ids: Vec<RunId> = runs.iter().map(|n| run(*n)).collect();
    let query = Query { run_ids, by: crate::metric::By::Id, limit: usize::MAX / 4, ..Query::default() };
    let rows = db.read(move |tx| crate::metric::points(tx, &query)).await.unwrap();
    let mut charts = std::collections::BTreeMap::new();
    for row in rows {
        let buckets = charts.entry((row.id.run, row.tag.to_string())).or_insert_with(|| Buckets::new(grid));
        buckets.add(axis.of(&row.point), row.id.seq, row.point.value.as_f64());
    }
    charts.into_iter().map(|((run, tag), buckets)| (run, tag, buckets.filled().copied().collect())).collect()
}

fn without_order(charts: Vec<(RunId, String, Vec<Summary>)>) -> Vec<(RunId, String, Vec<Summary>)> {
    let plain =
        |summaries: Vec<Summary>| summaries.into_iter().map(|one| Summary { order: 0, ..one }).collect();
    charts.into_iter().map(|(run, tag, summaries)| (run, tag, plain(summaries))).collect()
}

fn noise(seed: &mut u64) -> i64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 33) as i64
}

fn points(seed: &mut u64, from: i64, count: i64) -> Vec<Point> {
    (from..from + count)
        .map(|i| {
            let value = match noise(seed) % 40 {
                0 => Float(f64::NAN),
                1 => Float(f64::NEG_INFINITY),
                2..10 => Int(noise(seed) % 100),
                _ => Float(noise(seed) as f64 / 1e6),
            };
            // Steps go backwards now and then, and several share a time.
            let step = if noise(seed) % 50 == 0 { i / 2 } else { i };
            Point { step, at: Millis(5_000 + i / 3 * 10), value }
        })
        .collect()
}

both! {
    async fn summaries_and_points_agree_whatever_is_asked(db) {
        let mut seed = 42;
        write(&db, 1, 1, vec![("a", points(&mut seed, 0, 5000)), ("b", points(&mut seed, 0, 300))]).await;
        // A restart from step 3,900, of which one pack is half alive.
        write(&db, 1, 2, vec![("a", points(&mut seed, 4000, 900))]).await;
        // And points that are in the inbox, of a third job too.
        for i in 0..20 {
            write(&db, 1, 2, vec![("a", points(&mut seed, 5000 + i, 1)), ("c", points(&mut seed, i, 2))]).await;
        }
        write(&db, 1, 3, vec![("b", points(&mut seed, 150, 3))]).await;
        write(&db, 2, 1, vec![("a", points(&mut seed, -1000, 2000))]).await;
        for axis in [Axis::Step, Axis::Time] {
            for n in [1, 2, 7, 100, 1000, 10_000] {
                for range in [None, Some((1000, 1999)), Some((-5, 6_000)), Some((300_000, 400_000))] {
                    let runs = [1, 2];
                    let extent = db.read(move |tx| {
                        let curves = curves(tx, &runs.map(run), &[])?;
                        extent(tx, &curves, axis)
                    }).await.unwrap().unwrap();
                    let (from, to) = range.unwrap_or(extent);
                    let grid = Grid::new(from, to, n).unwrap();
                    let found = without_order(chart(&db, &runs, Asked { axis, buckets: n, range }).await);
                    let expected = without_order(expected(&db, &runs, axis, grid).await);
                    assert_eq!(found.len(), 4);
                    assert_eq!(found, expected, "{axis} {n} {range:?}");
                }
            }
        }
    }

    async fn the_summary_of_every_pack_is_that_of_its_points(db) {
        let mut seed = 7;
        write(&db, 1, 1, vec![("a", points(&mut seed, 0, 3000))]).await;
        let all_gaps = (0..600).map(|i| Point { step: i, at: Millis(i), value: Float(f64::NAN) }).collect();
        write(&db, 1, 1, vec![("gaps", all_gaps)]).await;
        let rows = db.read(|tx| {
            tx.query("SELECT data, points, gaps, min_value, max_value, last_by_step, last_by_time FROM metric_packs", &[])
        }).await.unwrap();
        assert!(rows.len() > 12);
        for mut row in rows {
            let points = decode(row.take(0).unwrap(), unpack).unwrap();
            let by_step = Summary::of_points(&points, Axis::Step, 0).unwrap();
            let by_time = Summary::of_points(&points, Axis::Time, 0).unwrap();
            assert_eq!((row.get(1), row.get(2)), (Ok(by_step.count), Ok(by_step.gaps.total())));
            assert_eq!((row.get(3), row.get(4)), (Ok(by_step.min), Ok(by_step.max)));
            let finite = |last: runyard_domain::metric::Value| Some(last.as_f64()).filter(|last| last.is_finite());
            assert_eq!((row.get(5), row.get(6)), (Ok(finite(by_step.last)), Ok(finite(by_time.last))));
        }
    }

    async fn a_chart_that_needs_no_pack_reads_none(db) {
        let plain = (0..10_000).map(|i| Point { step: i, at: Millis(i), value: Int(i) }).collect();
        write(&db, 1, 1, vec![("a", plain)]).await;
        db.write(|tx| tx.execute("UPDATE metric_packs SET data = $1", params![vec![9u8]])).await.unwrap();
        let whole = chart(&db, &[1], Asked { axis: Axis::Step, buckets: 1, range: None }).await;
        let summary = whole[0].2[0];
        assert_eq!((summary.count, summary.min, summary.max, summary.last), (10_000, Some(0.0), Some(9999.0), Float(9999.0)));
    }

    async fn no_points_make_no_chart(db) {
        assert_eq!(chart(&db, &[1], Asked { axis: Axis::Step, buckets: 10, range: None }).await, []);
        assert!(db.read(|tx| curves(tx, &[], &[])).await.unwrap().is_empty());
    }
}
