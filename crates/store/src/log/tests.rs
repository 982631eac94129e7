use runyard_domain::Millis;

use super::*;
use crate::{both, db::Db};

fn job(n: u8) -> JobId {
    JobId::new(Millis(n.into()), [n; 10])
}

async fn write(db: &Db, n: u8, offset: i64, bytes: &[u8]) -> Result<(), Error> {
    let bytes = bytes.to_vec();
    db.write(move |tx| append(tx, job(n), offset, &bytes)).await
}

async fn part(db: &Db, n: u8, offset: i64, limit: i64) -> Vec<u8> {
    db.read(move |tx| read(tx, job(n), offset, limit)).await.unwrap()
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
