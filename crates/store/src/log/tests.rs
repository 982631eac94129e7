use runyard_domain::Millis;

use super::*;
use crate::{both, db::Db};

fn job(n: u8) -> JobId {
    JobId::new(Millis(n.into()), [n; 10])
}

async fn write(db: &Db, n: u8, offset: i64, bytes: &[u8]) -> Result<(), Error> {
    let bytes = bytes.to_vec();
    db.write(move |tx| append(tx, job(n), offset, &bytes, i64::MAX)).await
}

async fn part(db: &Db, n: u8, offset: i64, limit: i64) -> Vec<u8> {
    db.read(move |tx| read(tx, job(n), offset, limit)).await.unwrap().bytes
}

/// Everything from `offset` on, part by part, as a reader follows `next`.
async fn all_from(db: &Db, n: u8, mut offset: i64, limit: i64) -> String {
    let mut bytes = Vec::new();
    loop {
        let part = db.read(move |tx| read(tx, job(n), offset, limit)).await.unwrap();
        if part.bytes.is_empty() {
            return String::from_utf8(bytes).unwrap();
        }
        assert_eq!(part.offset, offset);
        offset = part.next;
        bytes.extend(part.bytes);
    }
}

async fn start_of_line(db: &Db, n: u8, line: i64) -> Option<i64> {
    db.read(move |tx| line_start(tx, job(n), line)).await.unwrap()
}

/// Appends `line 0001` and so on, in chunks that cut lines, with a cap.
async fn print_lines(db: &Db, n: u8, lines: std::ops::Range<i64>, chunk: usize, cap: i64) {
    let text: String = lines.clone().fold(String::new(), |all, i| all + &format!("line {i:04}\n"));
    let mut offset = lines.start * 10;
    for bytes in text.as_bytes().chunks(chunk) {
        let (at, chunk) = (offset, bytes.to_vec());
        db.write(move |tx| append(tx, job(n), at, &chunk, cap)).await.unwrap();
        offset += bytes.len() as i64;
    }
}

both! {
    async fn output_reads_back_from_any_offset(db) {
        write(&db, 1, 0, b"hello ").await.unwrap();
        write(&db, 1, 6, b"wor").await.unwrap();
        write(&db, 1, 9, b"ld\n").await.unwrap();
        write(&db, 2, 0, b"another job").await.unwrap();
        let all = b"hello world\n";
        for from in 0..=all.len() {
            for limit in 0..=all.len() + 1 {
                let until = all.len().min(from + limit);
                assert_eq!(part(&db, 1, from as i64, limit as i64).await, &all[from..until], "{from} {limit}");
            }
        }
        assert_eq!(part(&db, 1, 100, 5).await, b"");
        assert_eq!(part(&db, 1, 0, i64::MAX).await, all);
        assert_eq!(part(&db, 3, 0, 5).await, b"");
    }

    async fn a_large_chunk_is_split_into_rows(db) {
        let bytes: Vec<u8> = (0..MAX_CHUNK * 2 + 7).map(|i| (i % 251) as u8).collect();
        write(&db, 1, 0, &bytes).await.unwrap();
        let row = db.read(|tx| {
            tx.query_one("SELECT count(*), CAST(max(length(data)) AS BIGINT) FROM log_chunks", &[])
        }).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (Ok(3i64), Ok(MAX_CHUNK as i64)));
        assert_eq!(part(&db, 1, 0, i64::MAX).await, bytes);
        let at = MAX_CHUNK as i64 - 2;
        assert_eq!(part(&db, 1, at, 5).await, &bytes[MAX_CHUNK - 2..MAX_CHUNK + 3]);
    }

    async fn the_same_offset_is_not_written_twice(db) {
        write(&db, 1, 0, b"a").await.unwrap();
        assert!(write(&db, 1, 0, b"b").await.unwrap_err().is_unique_violation());
        assert_eq!(part(&db, 1, 0, 9).await, b"a");
    }

    async fn lines_are_found_by_their_number_and_bytes_by_their_line(db) {
        for text in ["one\ntw", "o\n", "", "three", "\n\nfi", "ve"] {
            let offset = db.read(|tx| {
                let row = tx.query_one("SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM log_chunks", &[])?;
                row.get::<i64>(0)
            }).await.unwrap();
            write(&db, 1, offset, text.as_bytes()).await.unwrap();
        }
        let text = "one\ntwo\nthree\n\nfive";
        assert_eq!(part(&db, 1, 0, 99).await, text.as_bytes());
        let starts = [0, 4, 8, 14, 15];
        for (line, start) in (1..).zip(starts) {
            assert_eq!(start_of_line(&db, 1, line).await, Some(start), "line {line}");
            assert_eq!(db.read(move |tx| line_of(tx, job(1), start)).await, Ok(line));
        }
        assert_eq!(start_of_line(&db, 1, 6).await, None);
        assert_eq!(db.read(|tx| line_count(tx, job(1), 19)).await, Ok(5));
        assert_eq!(db.read(|tx| line_of(tx, job(1), 6)).await, Ok(2));
        assert_eq!(db.read(|tx| line_count(tx, job(2), 0)).await, Ok(0));
        write(&db, 1, 19, b"\n").await.unwrap();
        assert_eq!(db.read(|tx| line_count(tx, job(1), 20)).await, Ok(5), "the end of a line begins no other");
    }

    async fn output_over_the_cap_loses_its_middle_visibly_and_keeps_its_offsets(db) {
        let cap = 1000;
        print_lines(&db, 1, 0..1000, 37, cap).await;
        let kept = db.read(|tx| {
            let row = tx.query_one("SELECT CAST(sum(size) AS BIGINT), min(start_offset) FROM log_chunks", &[])?;
            Ok::<(i64, i64), Error>((row.get(0)?, row.get(1)?))
        }).await.unwrap();
        assert!((800..=1000).contains(&kept.0) && kept.1 == 0, "{kept:?}");
        let gone = db.read(|tx| dropped(tx, job(1))).await.unwrap();
        assert_eq!(gone, 10_000 - kept.0);
        let text = all_from(&db, 1, 0, 333).await;
        let mark = format!("[runyard] {gone} bytes were dropped here\n");
        let (head, tail) = text.split_once(&mark).expect("a mark");
        assert!(head.starts_with("line 0000\n") && head.len() >= 100 && head.len() < 160, "{head}");
        assert!(head.ends_with('\n'), "the mark is a line of its own");
        assert!(tail.ends_with("line 0999\n") && tail.len() > 700, "{tail}");
        // Offsets and line numbers are those of the whole output.
        assert_eq!(all_from(&db, 1, 9990, 100).await, "line 0999\n");
        assert_eq!(start_of_line(&db, 1, 1000).await, Some(9990));
        assert_eq!(start_of_line(&db, 1, 3).await, Some(20));
        assert_eq!(db.read(|tx| line_count(tx, job(1), 10_000)).await, Ok(1000));
        let in_gap = start_of_line(&db, 1, 500).await.unwrap();
        let from_gap = all_from(&db, 1, in_gap, 5000).await;
        assert!(from_gap.trim_start().starts_with(&mark), "{from_gap}");
        // A reader that had come half way is told what it misses.
        let rest = db.read(|tx| read(tx, job(1), 5000, 100)).await.unwrap();
        assert_eq!((rest.dropped, rest.next), (Some(rest.next - 5000), in_gap + gone));

        // And it goes on rotating: the beginning stays what it was.
        print_lines(&db, 1, 1000..1100, 500, cap).await;
        let later = all_from(&db, 1, 0, 4096).await;
        assert!(later.starts_with(head) && later.ends_with("line 1099\n"), "{later}");
        assert_eq!(later.matches("[runyard]").count(), 1);
        assert!(db.write(|tx| delete_job(tx, job(1))).await.unwrap() <= cap);
        assert_eq!(db.read(|tx| dropped(tx, job(1))).await, Ok(0));
    }

    async fn a_write_larger_than_the_cap_keeps_its_two_ends(db) {
        print_lines(&db, 1, 0..10_000, 1 << 20, 1000).await;
        let text = all_from(&db, 1, 0, 1 << 20).await;
        assert!(text.len() < 1100 && text.starts_with("line 0000") && text.ends_with("line 9999\n"), "{text}");
    }

    async fn deleting_says_what_it_freed_and_touches_no_other_job(db) {
        write(&db, 1, 0, b"12345").await.unwrap();
        write(&db, 1, 5, b"678").await.unwrap();
        write(&db, 2, 0, b"x").await.unwrap();
        assert_eq!(db.write(|tx| delete_job(tx, job(1))).await, Ok(8));
        assert_eq!(db.write(|tx| delete_job(tx, job(1))).await, Ok(0));
        assert_eq!(part(&db, 1, 0, 9).await, b"");
        assert_eq!(part(&db, 2, 0, 9).await, b"x");
    }
}
