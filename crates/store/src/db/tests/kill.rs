//! What was acknowledged survives a SIGKILL of the program.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::*;

const FOLDER: &str = "RUNYARD_TEST_KILL_FOLDER";

/// The program that is killed: this test, run again by itself with a folder.
fn write_until_killed(folder: &str) -> ! {
    let db = Db::open_sqlite(Path::new(folder).join("test.db"), &Options::default()).unwrap();
    let mut out = std::io::stdout();
    block_on(async {
        for n in 0.. {
            // Two rows to a write: half of one must never be seen.
            db.write(move |tx| put(tx, 2 * n).and(put(tx, 2 * n + 1))).await.unwrap();
            writeln!(out, "acknowledged {n}").unwrap();
            out.flush().unwrap();
        }
    });
    unreachable!("it writes until it is killed")
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Ok(folder) = std::env::var(FOLDER) {
        write_until_killed(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let open = || Db::open_sqlite(folder.path().join("test.db"), &Options::default()).unwrap();
    block_on(async {
        let db = open();
        with_table(&db).await;
        db.close().await;
    });
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "db::tests::kill::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = None;
    for line in BufReader::new(program.stdout.take().unwrap()).lines() {
        // The name of the test stands before the first one, on the same line.
        let line = line.unwrap();
        if let Some((_, n)) = line.split_once("acknowledged ") {
            acknowledged = Some(n.parse::<i64>().unwrap());
        }
        if acknowledged == Some(200) {
            program.kill().unwrap();
        }
    }
    program.wait().unwrap();
    let acknowledged = acknowledged.expect("something was acknowledged");
    assert!(acknowledged >= 200);
    let db = open();
    let found = block_on(numbers(&db));
    assert!(found.len() as i64 >= 2 * (acknowledged + 1), "{} of {acknowledged}", found.len());
    assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>(), "nothing lost within");
    assert_eq!(found.len() % 2, 0, "nothing halved");
    block_on(db.close());
}
