use runyard_domain::Millis;

use super::*;
use crate::{both, source, testing};

fn run_id(n: u8) -> RunId {
    RunId::new(Millis(n.into()), [n; 10])
}

fn set_id(n: u8) -> FileSetId {
    FileSetId::new(Millis(n.into()), [n; 10])
}

fn input(run: u8, channel: &str, from: Option<u8>) -> Link {
    Link {
        run_id: run_id(run),
        project_id: testing::project(1).id,
        direction: Direction::Input,
        channel: channel.to_owned(),
        kind: Kind::Artifact,
        uri: "run://r/output/x".to_owned(),
        target_id: Some(set_id(1).to_string()),
        place: "a/".to_owned(),
        from_run_id: from.map(run_id),
    }
}

fn output(run: u8, channel: &str, place: &str) -> Link {
    Link {
        direction: Direction::Output,
        kind: Kind::S3,
        uri: place.to_owned(),
        target_id: None,
        place: place.to_owned(),
        from_run_id: None,
        ..input(run, channel, None)
    }
}

both! {
    async fn links_of_a_run_are_found_from_both_of_their_ends(db) {
        let links = vec![input(2, "b", Some(1)), input(2, "a", None), output(2, "a", "s3://bucket/out/")];
        let written = links.clone();
        db.write(move |tx| insert(tx, &written)).await.unwrap();
        db.write(|tx| insert(tx, &[input(3, "x", Some(1)), input(1, "self", Some(1))])).await.unwrap();
        db.read(move |tx| {
            assert_eq!(of_run(tx, run_id(2))?, [links[1].clone(), links[0].clone(), links[2].clone()]);
            assert_eq!(get(tx, run_id(2), Direction::Output, "a")?.as_ref(), Some(&links[2]));
            assert_eq!(get(tx, run_id(2), Direction::Output, "b")?, None);
            assert_eq!(out_of(tx, run_id(1), 10)?, [input(3, "x", Some(1)), links[0].clone()]);
            assert_eq!(out_of(tx, run_id(1), 1)?, [input(3, "x", Some(1))]);
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    }

    async fn the_newest_run_that_wrote_to_a_place_is_found_within_the_project(db) {
        db.write(|tx| insert(tx, &[output(2, "a", "s3://b/x/"), output(3, "a", "s3://b/x/")])).await.unwrap();
        db.read(|tx| {
            let mut of = |project: u8, place: &str| {
                writer(tx, testing::project(project).id, &["s3://b/".to_owned(), place.to_owned()])
            };
            assert_eq!(of(1, "s3://b/x/")?, Some(run_id(3)));
            assert_eq!(of(1, "s3://b/y/")?, None);
            assert_eq!(of(2, "s3://b/x/")?, None);
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    }

    async fn what_a_run_that_has_not_ended_reads_is_wanted(db) {
        db.write(|tx| {
            crate::project::insert(tx, &testing::project(1))?;
            let mut run = testing::run(2, Millis(2), testing::project(1).id);
            run.life.status = runyard_domain::run::Status::JobRunning;
            crate::run::insert(tx, &run, "server")?;
            insert(tx, &[Link { run_id: run.id, ..input(2, "a", None) }])
        })
        .await
        .unwrap();
        let wanted = db.read(|tx| wanted(tx, &[set_id(1), set_id(2)])).await.unwrap();
        assert_eq!(wanted, [set_id(1)]);
    }

    async fn an_upload_stays_as_long_as_a_run_has_it_as_an_input(db) {
        let digest = "d".repeat(64);
        let upload = Link { kind: Kind::Upload, target_id: Some(digest.clone()), ..input(2, "a", None) };
        let forgotten = db
            .write(move |tx| {
                source::insert(tx, &digest, 1, Millis(1))?;
                insert(tx, std::slice::from_ref(&upload))?;
                let kept = source::forget_unused(tx, Some(&digest), Millis(9))?;
                delete_run(tx, run_id(2))?;
                Ok::<_, Error>((kept, source::forget_unused(tx, Some(&digest), Millis(9))?))
            })
            .await
            .unwrap();
        assert_eq!(forgotten, (vec![], vec!["d".repeat(64)]));
    }
}
