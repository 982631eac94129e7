use runyard_domain::metric::Value::{Float, Int};

use super::*;
use crate::{both, db::Db};

fn run(n: u8) -> RunId {
    RunId::new(Millis(n.into()), [n; 10])
}

/// Epoch `epoch` of run `n`.
fn job(n: u8, epoch: i64) -> JobId {
    JobId::new(Millis(epoch), [n; 10])
}

fn point(step: i64, value: f64) -> Point {
    Point { step, at: Millis(1000 + step), value: Float(value) }
}

async fn write(db: &Db, n: u8, epoch: i64, groups: Vec<(&str, Vec<Point>)>) {
    let groups: Vec<_> = groups.into_iter().map(|(tag, points)| (tag.to_owned(), points)).collect();
    db.write(move |tx| append(tx, run(n), job(n, epoch), epoch, &groups)).await.unwrap();
}

async fn read(db: &Db, query: Query) -> Vec<Row> {
    db.read(move |tx| points(tx, &query)).await.unwrap()
}

fn of(n: u8) -> Query {
    Query { run_ids: vec![run(n)], limit: 1000, ..Query::default() }
}

/// `tag step value` of each row.
fn shown(rows: &[Row]) -> Vec<String> {
    let show = |row: &Row| format!("{} {} {:?}", row.tag, row.point.step, row.point.value);
    rows.iter().map(show).collect()
}

fn steps(rows: &[Row]) -> Vec<i64> {
    rows.iter().map(|row| row.point.step).collect()
}

both! {
    async fn values_read_back_to_the_bit(db) {
        let values = [Int(1), Float(1.0), Float(f64::NAN), Float(f64::INFINITY), Float(f64::NEG_INFINITY), Float(-0.0)];
        let written: Vec<Point> =
            (0..).zip(values).map(|(step, value)| Point { step, at: Millis(step), value }).collect();
        write(&db, 1, 1, vec![("a", written.clone())]).await;
        let rows = read(&db, of(1)).await;
        assert_eq!(rows.iter().map(|row| row.point).collect::<Vec<_>>(), written);
        assert!(rows.iter().all(|row| row.id.run == run(1) && row.job_id == job(1, 1) && row.epoch == 1));
    }

    async fn small_writes_make_full_packs_and_a_tail_that_is_never_empty(db) {
        for step in 0..8 {
            write(&db, 1, 1, vec![("a", (step * 130..(step + 1) * 130).map(|i| point(i, 0.5)).collect())]).await;
            if step == 3 {
                // A multiple of the pack: what is full waits in the tail until one more comes.
                write(&db, 2, 1, vec![("a", (0..2 * PACK as i64).map(|i| point(i, 0.5)).collect())]).await;
            }
        }
        let packs = db.read(|tx| {
            tx.query("SELECT first_seq, last_seq, min_step, max_step FROM metric_packs ORDER BY run_id, first_seq", &[])
        }).await.unwrap();
        let packs: Vec<[i64; 4]> = packs.iter().map(|row| [0, 1, 2, 3].map(|i| row.get(i).unwrap())).collect();
        assert_eq!(packs, [
            [1, 512, 0, 511],
            [513, 1024, 512, 1023],
            [1, 512, 0, 511]
        ]);
        let rows = read(&db, Query { limit: 5000, ..of(1) }).await;
        assert_eq!(steps(&rows), (0..1040).collect::<Vec<_>>());
        assert_eq!(rows.iter().map(|row| row.id.seq).collect::<Vec<_>>(), (1..=1040).collect::<Vec<_>>());
        assert_eq!(read(&db, Query { limit: 5000, ..of(2) }).await.len(), 2 * PACK);
        assert_eq!(db.read(|tx| last_seq(tx, run(1))).await, Ok(1040));
        assert_eq!(db.read(|tx| last_seq(tx, run(3))).await, Ok(0));
    }

    async fn a_pack_of_values_that_need_many_bits_has_fewer_points_and_fills_its_place(db) {
        let noisy = |step: i64| Point {
            at: Millis(1000 + step * 50 + step * 7919 % 13),
            ..point(step, 2.0 / (1.0 + step as f64) + (step as f64 * 12.9898).sin())
        };
        let mut from = 0;
        for many in [1, 700, 3, 256, 1000, 40] {
            write(&db, 1, 1, vec![("a", (from..from + many).map(noisy).collect())]).await;
            from += many;
        }
        let packs = db.read(|tx| {
            tx.query("SELECT points, length(data) + length(seqs) FROM metric_packs ORDER BY first_seq", &[])
        }).await.unwrap();
        assert!(packs.len() > 5, "{}", packs.len());
        for row in packs {
            let (points, bytes): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
            assert!((150..300).contains(&points), "{points} points");
            assert!((PACK_BYTES * 7 / 8..=PACK_BYTES).contains(&(bytes as usize)), "{bytes} bytes");
        }
        let rows = read(&db, Query { limit: 5000, ..of(1) }).await;
        assert_eq!(rows.iter().map(|row| row.point).collect::<Vec<_>>(), (0..2000).map(noisy).collect::<Vec<_>>());
    }

    async fn few_points_of_many_series_wait_in_the_inbox_and_are_folded_when_it_is_full(db) {
        let counts = async || {
            let row = db.read(|tx| tx.query_one(
                "SELECT (SELECT count(*) FROM metric_inbox), (SELECT count(*) FROM metric_packs),
                        (SELECT count(*) FROM metric_series WHERE tail_last_seq > 0),
                        inbox_points, inbox_rows FROM metric_runs",
                &[],
            )).await.unwrap();
            [0, 1, 2, 3, 4].map(|i| row.get::<i64>(i).unwrap())
        };
        let tags: Vec<String> = (0..20).map(|i| format!("tag {i:02}")).collect();
        let batch = |step: i64| tags.iter().map(|tag| (tag.as_str(), vec![point(step, step as f64)])).collect::<Vec<_>>();
        for step in 0..INBOX_ROWS {
            write(&db, 1, 1, batch(step)).await;
        }
        assert_eq!(counts().await, [INBOX_ROWS, 0, 0, INBOX_ROWS * 20, INBOX_ROWS]);
        let latest_before = db.read(|tx| latest(tx, run(1))).await.unwrap();
        write(&db, 1, 1, batch(INBOX_ROWS)).await;
        // 513 points of each tag are a full pack and a tail.
        assert_eq!(counts().await, [0, 20, 20, 0, 0]);
        write(&db, 1, 1, batch(INBOX_ROWS + 1)).await;
        assert_eq!(counts().await, [1, 20, 20, 20, 1]);
        // Many points of one series take the inbox along.
        write(&db, 1, 1, vec![("tag 00", (1000..1100).map(|i| point(i, 0.5)).collect())]).await;
        assert_eq!(counts().await, [0, 20, 20, 0, 0]);

        let one = read(&db, Query { tags: vec!["tag 07".into()], ..of(1) }).await;
        assert_eq!(steps(&one), (0..INBOX_ROWS + 2).collect::<Vec<_>>());
        let all = read(&db, Query { by: By::Id, limit: 100_000, ..of(1) }).await;
        assert_eq!(all.iter().map(|row| row.id.seq).collect::<Vec<_>>(), (1..=all.len() as i64).collect::<Vec<_>>());
        assert_eq!(all.len() as i64, (INBOX_ROWS + 2) * 20 + 100);
        let newest = db.read(|tx| latest(tx, run(1))).await.unwrap();
        assert_eq!((latest_before.len(), newest.len()), (20, 20));
        assert_eq!((latest_before[7].point.step, newest[7].point.step, newest[0].point.step), (INBOX_ROWS - 1, INBOX_ROWS + 1, 1099));
        assert!(db.write(|tx| delete_run(tx, run(1))).await.unwrap() > 0);
        assert_eq!(read(&db, of(1)).await, []);
    }

    async fn a_write_that_is_given_up_leaves_nothing_in_the_inbox(db) {
        write(&db, 1, 1, vec![("a", vec![point(0, 0.5)])]).await;
        let failed: Result<(), Error> = db.write(|tx| {
            append(tx, run(1), job(1, 1), 1, &[("b".to_owned(), vec![point(1, 1.0)])])?;
            Err(Error::Sql("given up".into()))
        }).await;
        assert!(failed.is_err());
        assert_eq!(shown(&read(&db, of(1)).await), ["a 0 Float(0.5)"]);
        write(&db, 1, 1, vec![("c", vec![point(2, 2.0)])]).await;
        assert_eq!(shown(&read(&db, of(1)).await), ["a 0 Float(0.5)", "c 2 Float(2.0)"]);
    }

    async fn steps_that_go_backwards_are_kept_as_they_came(db) {
        for step in [10, 5, 20, -3] {
            write(&db, 1, 1, vec![("a", vec![point(step, 1.0)])]).await;
        }
        assert_eq!(steps(&read(&db, of(1)).await), [-3, 5, 10, 20]);
        // The newer job takes back from the lowest step that it logged, wherever that stands in its order.
        for step in [15, 4, 16] {
            write(&db, 1, 2, vec![("a", vec![point(step, 2.0)])]).await;
        }
        assert_eq!(steps(&read(&db, of(1)).await), [-3, 4, 15, 16]);
    }

    async fn a_restart_at_step_80_takes_back_what_the_job_before_logged_from_there(db) {
        write(&db, 1, 1, vec![("loss", (0..100).map(|i| point(i, 1.0)).collect()), ("acc", vec![point(99, 1.0)])]).await;
        write(&db, 1, 2, vec![("loss", (80..90).map(|i| point(i, 2.0)).collect())]).await;
        let loss = |query| Query { tags: vec!["loss".into()], ..query };
        let rows = read(&db, loss(of(1))).await;
        assert_eq!(steps(&rows), (0..90).collect::<Vec<_>>());
        assert!(rows.iter().all(|row| row.epoch == if row.point.step < 80 { 1 } else { 2 }));
        let old = read(&db, Query { job_id: Some(job(1, 1)), ..loss(of(1)) }).await;
        assert_eq!(steps(&old), (0..100).collect::<Vec<_>>());
        // A tag that the new job has not logged stays as it was.
        assert_eq!(shown(&read(&db, Query { tags: vec!["acc".into()], ..of(1) }).await), ["acc 99 Float(1.0)"]);

        // A third job that begins earlier takes back what both logged, also steps that it has not reached yet.
        write(&db, 1, 3, vec![("loss", vec![point(50, 3.0)])]).await;
        assert_eq!(steps(&read(&db, loss(of(1))).await), (0..=50).collect::<Vec<_>>());
        let latest = db.read(|tx| latest(tx, run(1))).await.unwrap();
        assert_eq!(shown(&latest), ["acc 99 Float(1.0)", "loss 50 Float(3.0)"]);
        assert_eq!((latest[1].job_id, latest[1].epoch), (job(1, 3), 3));
    }

    async fn paging_by_step_loses_nothing_although_a_step_was_logged_again(db) {
        let repeated: Vec<Point> =
            (0..60).map(|i| point(i / 3, f64::from(i as i32))).chain([point(2, 100.0), point(-1, 101.0)]).collect();
        write(&db, 1, 1, vec![("a", repeated.clone()), ("b", repeated)]).await;
        for limit in [1, 2, 5, 7, 1000] {
            for descending in [false, true] {
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let query = Query { limit, global_step_after: after, descending, ..of(1) };
                    let page = read(&db, query).await;
                    let Some(last) = page.last() else { break };
                    assert!(page.len() >= limit.min(124 - all.len()), "{limit}: {}", page.len());
                    after = Some(last.point.step);
                    all.extend(page);
                    if descending {
                        break;
                    }
                }
                if !descending {
                    assert_eq!(all.len(), 124, "{limit}");
                    assert!(all.is_sorted_by_key(|row| (row.point.step, row.tag.to_string(), row.id)));
                }
            }
        }
        let page = read(&db, Query { limit: 1, descending: true, ..of(1) }).await;
        assert_eq!(shown(&page)[..3], ["a 19 Float(59.0)", "a 19 Float(58.0)", "a 19 Float(57.0)"]);
        assert_eq!(page.len(), 6);
    }

    async fn ids_follow_the_order_of_writing_over_all_tags_and_continue_after_any(db) {
        for i in 0..30 {
            write(&db, 1, 1, vec![("b", vec![point(i, 0.0)]), ("a", vec![point(i, 0.0), point(i, 1.0)])]).await;
        }
        write(&db, 2, 1, vec![("a", vec![point(0, 0.0)])]).await;
        let both = || Query { run_ids: vec![run(2), run(1)], by: By::Id, limit: 7, ..Query::default() };
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = read(&db, Query { id_after: after, ..both() }).await;
            assert!(page.len() <= 7);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            all.extend(page);
        }
        assert_eq!(all.len(), 91);
        assert!(all.is_sorted_by_key(|row| row.id) && all.is_sorted_by_key(|row| row.id.to_string()));
        assert_eq!(shown(&all[..3]), ["b 0 Float(0.0)", "a 0 Float(0.0)", "a 0 Float(1.0)"]);
        let newest = read(&db, Query { descending: true, limit: 2, ..both() }).await;
        assert_eq!(newest.iter().map(|row| (row.id.run, row.id.seq)).collect::<Vec<_>>(), [(run(2), 1), (run(1), 90)]);
    }

    async fn time_is_a_bound_and_an_order(db) {
        let at = |step, at| Point { step, at: Millis(at), value: Int(step) };
        write(&db, 1, 1, vec![("a", vec![at(1, 30), at(2, 10), at(3, 20), at(4, 20)])]).await;
        let by_time = |descending, limit, before| Query {
            by: By::CreatedAt, descending, limit, created_before: before, ..of(1)
        };
        assert_eq!(steps(&read(&db, by_time(false, 9, None)).await), [2, 3, 4, 1]);
        assert_eq!(steps(&read(&db, by_time(true, 2, None)).await), [1, 4, 3], "a page never ends inside a millisecond");
        assert_eq!(steps(&read(&db, by_time(true, 2, Some(Millis(20)))).await), [2]);
        assert_eq!(steps(&read(&db, Query { global_steps: vec![4, 1, 9], ..of(1) }).await), [1, 4]);
    }

    async fn tags_are_listed_in_the_order_of_their_bytes(db) {
        write(&db, 1, 1, ["b", "a", "B", "é", "train/loss"].map(|tag| (tag, vec![point(0, 0.0)])).into()).await;
        write(&db, 1, 2, vec![("a", vec![point(0, 0.0)])]).await;
        write(&db, 2, 1, vec![("c", vec![point(0, 0.0)])]).await;
        let list = async |runs: &[u8], after: Option<&str>, limit| {
            let (runs, after) = (runs.iter().map(|n| run(*n)).collect::<Vec<_>>(), after.map(str::to_owned));
            db.read(move |tx| tags(tx, &runs, after.as_deref(), limit)).await.unwrap()
        };
        assert_eq!(list(&[1], None, 10).await, ["B", "a", "b", "train/loss", "é"]);
        assert_eq!(list(&[1, 2], Some("a"), 2).await, ["b", "c"]);
        assert_eq!(list(&[1], Some("é"), 10).await, Vec::<String>::new());
        assert_eq!(list(&[], None, 10).await, Vec::<String>::new());
    }

    async fn deleting_a_run_frees_its_bytes_and_no_others(db) {
        for n in [1, 2] {
            write(&db, n, 1, vec![("a", (0..2000).map(|i| point(i, f64::from(i as i32).sqrt())).collect())]).await;
        }
        let freed = db.write(|tx| delete_run(tx, run(1))).await.unwrap();
        assert!(freed > 2000 && freed < 2000 * 9, "{freed}");
        assert_eq!(db.write(|tx| delete_run(tx, run(1))).await, Ok(0));
        assert_eq!(read(&db, of(1)).await, []);
        assert_eq!(db.read(|tx| last_seq(tx, run(1))).await, Ok(0));
        assert_eq!(read(&db, Query { limit: 9000, ..of(2) }).await.len(), 2000);
    }

    async fn a_step_that_is_logged_for_ever_does_not_fill_the_memory(db) {
        let count = 100_600;
        write(&db, 1, 1, vec![("a", (0..count).map(|i| Point { step: i / 100_500, at: Millis(i), value: Int(i) }).collect())]).await;
        let page = read(&db, Query { limit: 10, ..of(1) }).await;
        assert_eq!(page.len(), 100_010);
        assert_eq!((page[0].id.seq, page[100_009].id.seq), (491, 100_500), "those written last are kept");
    }

    async fn a_damaged_pack_is_an_error_and_no_panic(db) {
        write(&db, 1, 1, vec![("a", (0..600).map(|i| point(i, 0.5)).collect())]).await;
        db.write(|tx| tx.execute("UPDATE metric_packs SET data = $1", params![vec![1u8, 9, 9]])).await.unwrap();
        let error = db.read(|tx| points(tx, &of(1))).await.unwrap_err();
        assert!(error.to_string().contains("the metric pack is"), "{error}");
    }

    async fn nothing_asked_for_is_nothing_found(db) {
        write(&db, 1, 1, vec![("a", vec![point(0, 0.0)]), ("empty", vec![])]).await;
        assert_eq!(read(&db, Query { limit: 0, ..of(1) }).await, []);
        assert_eq!(read(&db, Query { run_ids: vec![], ..of(1) }).await, []);
        assert_eq!(read(&db, of(7)).await, []);
        assert_eq!(db.read(|tx| tags(tx, &[run(1)], None, 9)).await.unwrap(), ["a"]);
        db.write(|tx| append(tx, run(1), job(1, 1), 1, &[])).await.unwrap();
    }
}

/// Every query over random writes answers what a plain list of all points would.
fn agrees_with_a_list(db: Db) -> impl Future<Output = ()> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut pick = move |n: i64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as i64 % n
    };
    async move {
        let mut model: Vec<Row> = Vec::new();
        let mut seqs = [0; 3];
        for write_no in 0..60 {
            let n = 1 + pick(2) as u8;
            let epoch = 1 + write_no / 25;
            let start = if write_no % 25 == 0 { pick(300) } else { pick(900) };
            let mut groups = Vec::new();
            for tag in ["a", "b", "c"].into_iter().take(1 + pick(3) as usize) {
                let count = if pick(6) == 0 { pick(1300) } else { pick(30) };
                let points: Vec<Point> = (0..count)
                    .map(|i| Point {
                        step: start + i / 2,
                        at: Millis(write_no * 100 + pick(150)),
                        value: Int(i),
                    })
                    .collect();
                for point in &points {
                    seqs[usize::from(n)] += 1;
                    let id = Id { run: run(n), seq: seqs[usize::from(n)] };
                    model.push(Row { id, job_id: job(n, epoch), epoch, tag: tag.into(), point: *point });
                }
                groups.push((tag, points));
            }
            write(&db, n, epoch, groups).await;
        }
        for _ in 0..80 {
            let some = |yes: bool, value: i64| yes.then_some(value);
            let query = Query {
                run_ids: [vec![run(1)], vec![run(2), run(1)]][pick(2) as usize].clone(),
                tags: [vec![], vec!["b".into()], vec!["c".into(), "a".into()]][pick(3) as usize].clone(),
                global_steps: [vec![], vec![], vec![pick(900), pick(900), 5]][pick(3) as usize].clone(),
                global_step_after: some(pick(2) == 0, pick(900)),
                created_before: some(pick(3) == 0, pick(6000)).map(Millis),
                id_after: some(pick(3) == 0, pick(9000)).map(|seq| Id { run: run(1), seq }),
                job_id: some(pick(4) == 0, 1 + pick(3)).map(|epoch| job(1, epoch)),
                by: [By::GlobalStep, By::CreatedAt, By::Id][pick(3) as usize],
                descending: pick(2) == 0,
                limit: [1, 10, 500, 3000, 100_000][pick(5) as usize],
            };
            let expected = select(&model, &query);
            let found = read(&db, query.clone()).await;
            assert_eq!(found.len(), expected.len(), "{query:?}");
            assert!(found == expected, "{query:?}");
        }
    }
}

fn select(model: &[Row], query: &Query) -> Vec<Row> {
    let mut first_steps = BTreeMap::new();
    for row in model {
        let first = first_steps.entry((row.id.run, row.tag.to_string(), row.epoch)).or_insert(i64::MAX);
        *first = row.point.step.min(*first);
    }
    let replaced = |row: &Row| {
        let newer =
            (row.id.run, row.tag.to_string(), row.epoch + 1)..=(row.id.run, row.tag.to_string(), i64::MAX);
        first_steps.range(newer).any(|(_, first)| *first <= row.point.step)
    };
    let mut rows: Vec<Row> = model
        .iter()
        .filter(|row| query.run_ids.contains(&row.id.run))
        .filter(|row| query.tags.is_empty() || query.tags.iter().any(|tag| **tag == *row.tag))
        .filter(|row| query.global_steps.is_empty() || query.global_steps.contains(&row.point.step))
        .filter(|row| query.global_step_after.is_none_or(|after| row.point.step > after))
        .filter(|row| query.created_before.is_none_or(|before| row.point.at < before))
        .filter(|row| query.id_after.is_none_or(|after| row.id > after))
        .filter(|row| query.job_id.map_or_else(|| !replaced(row), |job| row.job_id == job))
        .cloned()
        .collect();
    let key = |row: &Row| match query.by {
        By::GlobalStep => (row.point.step, None),
        By::CreatedAt => (row.point.at.0, None),
        By::Id => (0, Some(row.id)),
    };
    rows.sort_by(|a, b| {
        let (order, seq) = (key(a).cmp(&key(b)), a.id.seq.cmp(&b.id.seq));
        let (order, seq) = if query.descending { (order.reverse(), seq.reverse()) } else { (order, seq) };
        // Series stand by run, tag, and the newest job first.
        let series = |row: &Row| (row.id.run, row.tag.to_string(), -row.epoch);
        order.then_with(|| series(a).cmp(&series(b))).then(seq)
    });
    if let Some(last) = rows.get(query.limit - 1).map(key) {
        let end = rows.iter().skip(query.limit).take_while(|row| key(row) == last).count();
        rows.truncate(query.limit + end);
    }
    rows
}

mod every_query_answers_what_a_plain_list_would {
    #[test]
    fn sqlite() {
        crate::testing::on_sqlite(super::agrees_with_a_list);
    }

    #[test]
    fn postgres() {
        crate::testing::on_postgres(super::agrees_with_a_list);
    }
}
