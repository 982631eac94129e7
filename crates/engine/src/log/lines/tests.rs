//! Pages of lines, on both databases.

use std::{path::Path, sync::Arc};

use runyard_domain::{
    JobId, Millis,
    job::{Exit, Reason, Stream},
    token::Scope,
};
use runyard_store::{Db, both, testing};

use super::*;
use crate::tests::{Stopped, engine_on};

struct Yard {
    engine: Engine,
    run: RunId,
}

impl Yard {
    async fn on(db: Db, folder: &Path) -> Self {
        let engine = engine_on(db, Arc::<Stopped>::default(), folder);
        let run = testing::run(1, Millis(1), testing::project(1).id);
        let id = run.id;
        engine
            .db
            .write(move |tx| {
                store::project::insert(tx, &testing::project(1))?;
                testing::insert_runs(tx, std::slice::from_ref(&run))?;
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        Self { engine, run: id }
    }

    /// A job of this epoch with this output; `exit`: it has ended.
    async fn job(&self, epoch: u8, output: &'static [u8], cap: i64, exit: Option<Reason>) {
        let (run_id, id) = (self.run, JobId::new(Millis(epoch.into()), [epoch; 10]));
        self.engine
            .db
            .write(move |tx| {
                let job = Job {
                    id,
                    run_id,
                    epoch: epoch.into(),
                    executor: "local".into(),
                    created_at: Millis(1),
                    started_at: None,
                    seen_at: None,
                    ended_at: None,
                    exit: None,
                    lengths: runyard_domain::job::StreamLengths::default(),
                };
                store::job::insert(tx, &job)?;
                store::log::append(tx, id, 0, output, cap)?;
                store::job::set_length(tx, id, Stream::Logs, output.len() as i64)?;
                if let Some(reason) = exit {
                    store::job::end(tx, id, &Exit::because(reason, "why", Millis(2)), Millis(2))?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }

    async fn page(&self, from: i64, count: i64) -> (Vec<String>, i64) {
        let admin = Actor { token_id: None, name: "ann".into(), scope: Scope::Admin };
        let page = lines(&self.engine, &admin, self.run, from, count, last_word).await.unwrap();
        (page.lines, page.total)
    }
}

fn last_word(job: &Job) -> Option<String> {
    let exit = job.exit.as_ref().filter(|exit| exit.reason != Reason::Completed)?;
    Some(format!("ended: {:?}", exit.reason))
}

const CAP: i64 = 1 << 20;

both! {
    async fn a_line_that_has_not_ended_is_none_until_its_job_has_ended(db) {
        let folder = tempfile::tempdir().unwrap();
        let yard = Yard::on(db, folder.path()).await;
        assert_eq!(yard.page(0, 20).await, (Vec::new(), 0), "there is no job yet");
        yard.job(1, b"a\r\n\nb\nopen", CAP, None).await;
        assert_eq!(yard.page(0, 20).await, (vec!["a".into(), String::new(), "b".into()], 3));
        assert_eq!(yard.page(1, 1).await.0, [""]);
        assert_eq!(yard.page(3, 20).await.0, Vec::<String>::new());
    }
}

both! {
    async fn jobs_follow_each_other_and_the_last_word_stands_behind_each(db) {
        let folder = tempfile::tempdir().unwrap();
        let yard = Yard::on(db, folder.path()).await;
        yard.job(1, b"1\n2\nopen", CAP, Some(Reason::Error)).await;
        let first = vec!["1".to_owned(), "2".into(), "open".into(), "ended: Error".into()];
        assert_eq!(yard.page(0, 20).await, (first.clone(), 4));
        yard.job(2, b"3\n\xff", CAP, Some(Reason::Completed)).await;
        let all: Vec<String> = first.into_iter().chain(["3".into(), "\u{fffd}".into()]).collect();
        assert_eq!(yard.page(0, 20).await, (all.clone(), 6), "what was answered stays in its place");
        for size in 1..=7 {
            let mut read = Vec::new();
            while let (page, 6) = yard.page(read.len() as i64, size).await
                && !page.is_empty()
            {
                read.extend(page);
            }
            assert_eq!(read, all, "pages of {size}");
        }
    }
}

both! {
    async fn lines_that_were_dropped_keep_their_places_and_long_ones_are_cut(db) {
        let folder = tempfile::tempdir().unwrap();
        let yard = Yard::on(db, folder.path()).await;
        let text: Vec<String> = (0..1000).map(|n| format!("line {n}\n")).collect();
        let text = text.concat();
        yard.job(1, text.leak().as_bytes(), 1000, Some(Reason::Completed)).await;
        let (page, total) = yard.page(0, 1000).await;
        assert_eq!((page.len(), total), (1000, 1000));
        assert_eq!((page[0].as_str(), page[500].as_str(), page[999].as_str()), ("line 0", DROPPED, "line 999"));
        let long = "x".repeat(MAX_LINE as usize + 3) + "\nend\n";
        yard.job(2, long.leak().as_bytes(), CAP, Some(Reason::Completed)).await;
        let (page, _) = yard.page(1000, 2).await;
        assert!(page[0].ends_with("x [runyard] and 4 more bytes"), "{}", &page[0][page[0].len() - 60..]);
        assert_eq!(page[1], "end");
    }
}
