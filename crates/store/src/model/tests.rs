mod rows;

use runyard_domain::{ModelVersionId, model::State};
use serde_json::Map;

use super::{version::ModelVersion, *};
use crate::{both, db::Db, project, testing};

fn model_id(n: u8) -> ModelId {
    ModelId::new(Millis(n.into()), [n; 10])
}

fn version_id(n: u8) -> ModelVersionId {
    ModelVersionId::new(Millis(n.into()), [n; 10])
}

fn model(n: u8) -> Model {
    Model {
        id: model_id(n),
        project_id: testing::project(1).id,
        name: format!("model-{n}"),
        description: String::new(),
        created_at: Millis(n.into()),
        versions: 0,
    }
}

/// Version `n`, of model 1.
fn version(n: u8, state: State) -> ModelVersion {
    ModelVersion {
        id: version_id(n),
        model_id: model_id(1),
        model: "model-1".into(),
        project_id: testing::project(1).id,
        state,
        reason: None,
        tag: Some(format!("v{n}")),
        move_tag: false,
        description: String::new(),
        config: Map::new(),
        parent_id: None,
        run_id: None,
        job_id: None,
        checkpoint_id: None,
        source: None,
        run_config: None,
        tree_digest: Some(format!("{n:064}")),
        content_md5: Some("c".repeat(32)),
        archive_sha256: None,
        archive_md5: None,
        archive_size: None,
        size: Some(7),
        files: Some(1),
        source_key: None,
        object_key: format!("models/1/{n}/archive"),
        upload: None,
        part_size: None,
        created_at: Millis(n.into()),
        updated_at: Millis(n.into()),
        available_at: None,
        user_id: "me".into(),
    }
}

async fn fill(db: &Db) {
    db.write(|tx| {
        project::insert(tx, &testing::project(1))?;
        for n in 1..=3 {
            insert(tx, &model(n))?;
        }
        version::insert(tx, &version(1, State::Available))?;
        version::insert(tx, &version(2, State::Created))?;
        version::insert(tx, &version(3, State::Available))
    })
    .await
    .unwrap();
}

both! {
    async fn a_count_is_of_all_that_match_wherever_the_page_is(db) {
        fill(&db).await;
        let page = Filter { limit: 1, offset: 1, id_after: Some(model_id(3)), ..Filter::default() };
        let named = Filter { names: vec!["model-2".into()], ..Filter::default() };
        let nobody = Filter { names: vec!["nobody".into()], ..Filter::default() };
        let counts = db
            .read(move |tx| Ok::<_, Error>([count(tx, &page)?, count(tx, &named)?, count(tx, &nobody)?]))
            .await
            .unwrap();
        assert_eq!(counts, [3, 1, 0]);
        let page = version::Filter {
            model_ids: vec![model_id(1)], limit: 1, id_after: Some(version_id(2)), ..Default::default()
        };
        let available = version::Filter { states: vec![State::Available], limit: 0, ..Default::default() };
        let elsewhere = version::Filter { model_ids: vec![model_id(2)], ..Default::default() };
        let counts = db
            .read(move |tx| {
                let count = version::count;
                Ok::<_, Error>([count(tx, &page)?, count(tx, &available)?, count(tx, &elsewhere)?])
            })
            .await
            .unwrap();
        assert_eq!(counts, [3, 2, 0]);
    }

    async fn lists_go_on_behind_the_id_that_a_page_ended_with(db) {
        fill(&db).await;
        let page = |after| version::Filter {
            model_ids: vec![model_id(1)], limit: 2, id_after: after, ..Default::default()
        };
        let (first, rest) = (page(None), page(Some(version_id(2))));
        let [first, rest] = db
            .read(move |tx| Ok::<_, Error>([version::list(tx, &first)?, version::list(tx, &rest)?]))
            .await
            .unwrap();
        let ids = |list: &[ModelVersion]| list.iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!((ids(&first), ids(&rest)), (vec![version_id(3), version_id(2)], vec![version_id(1)]));
        assert_eq!(first, [version(3, State::Available), version(2, State::Created)]);
        let models = db.read(|tx| list(tx, &Filter::default())).await.unwrap();
        assert_eq!(models.iter().map(|one| one.versions).collect::<Vec<_>>(), [0, 0, 2]);
    }
}
