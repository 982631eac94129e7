//! Versions of models: rows, and the filters of their list. Whoever changes which versions are available, or their tags,
//! holds the lock of the model.

use runyard_domain::{FileSetId, JobId, Millis, ModelId, ModelVersionId, ProjectId, RunId, model::State};
use serde_json::{Map, Value as Json};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
    run::Sort,
};

const COLUMNS: &str = "v.id, v.model_id, m.name, v.project_id, v.state, v.reason, v.tag, v.move_tag, v.description, v.config, \
    v.parent_id, v.run_id, v.job_id, v.checkpoint_id, v.source, v.run_config, v.tree_digest, v.content_md5, \
    v.archive_sha256, v.archive_md5, v.archive_size, v.size, v.files, v.source_key, v.object_key, v.upload, \
    v.part_size, v.created_at, v.updated_at, v.available_at, v.user_id";
const FROM: &str = "model_versions v JOIN models m ON m.id = v.model_id";

/// A version of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    /// Id.
    pub id: ModelVersionId,
    /// Its model.
    pub model_id: ModelId,
    /// The model's name; read, never written.
    pub model: String,
    /// The model's project.
    pub project_id: ProjectId,
    /// State.
    pub state: State,
    /// Why the state is [`State::Error`].
    pub reason: Option<String>,
    /// Tag; of one that is not available: the tag that was asked for.
    pub tag: Option<String>,
    /// Take the tag from the version that has it, once this one is available.
    pub move_tag: bool,
    /// For people.
    pub description: String,
    /// What a program that uses it should know.
    pub config: Map<String, Json>,
    /// The version that it was made from; may be gone.
    pub parent_id: Option<ModelVersionId>,
    /// The run that made it; may be gone.
    pub run_id: Option<RunId>,
    /// The job that made it; may be gone.
    pub job_id: Option<JobId>,
    /// The checkpoint that it is made of; may be gone.
    pub checkpoint_id: Option<FileSetId>,
    /// Hex SHA-256 of the source of that run.
    pub source: Option<String>,
    /// The config of that run.
    pub run_config: Option<Json>,
    /// Hex SHA-256 over paths, modes and contents.
    pub tree_digest: Option<String>,
    /// Hex MD5 of the contents.
    pub content_md5: Option<String>,
    /// Hex SHA-256 of the archive.
    pub archive_sha256: Option<String>,
    /// Hex MD5 of the archive.
    pub archive_md5: Option<String>,
    /// Bytes of the archive.
    pub archive_size: Option<i64>,
    /// Bytes of all files.
    pub size: Option<i64>,
    /// How many files.
    pub files: Option<i64>,
    /// What tells this publish from others of the model.
    pub source_key: Option<String>,
    /// Where the archive is, or will be.
    pub object_key: String,
    /// The upload in parts that is under way.
    pub upload: Option<String>,
    /// Bytes of each part but the last one.
    pub part_size: Option<i64>,
    /// When.
    pub created_at: Millis,
    /// When something happened to it last.
    pub updated_at: Millis,
    /// When it became available.
    pub available_at: Option<Millis>,
    /// Who published it.
    pub user_id: String,
}

/// Which versions, in which order. An empty list is no condition.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Any of these.
    pub ids: Vec<ModelVersionId>,
    /// Of any of these models.
    pub model_ids: Vec<ModelId>,
    /// Of any model with one of these names.
    pub models: Vec<String>,
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Any of these tags.
    pub tags: Vec<String>,
    /// In any of these states.
    pub states: Vec<State>,
    /// Made by any of these runs.
    pub run_ids: Vec<RunId>,
    /// Made of any of these checkpoints.
    pub checkpoint_ids: Vec<FileSetId>,
    /// Made from any of these.
    pub parent_ids: Vec<ModelVersionId>,
    /// Any of these digests.
    pub tree_digests: Vec<String>,
    /// Any of these digests.
    pub content_md5s: Vec<String>,
    /// With so many bytes.
    pub size: Option<i64>,
    /// With so many files.
    pub files: Option<i64>,
    /// Strictly after.
    pub created_after: Option<Millis>,
    /// Strictly before.
    pub created_before: Option<Millis>,
    /// What follows this id in the order of the sort.
    pub id_after: Option<ModelVersionId>,
    /// Order; by id and by creation are the same.
    pub sort: Sort,
    /// At most this many.
    pub limit: i64,
    /// Leave out this many first.
    pub offset: i64,
}

impl Default for Filter {
    /// The newest ten.
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            model_ids: Vec::new(),
            models: Vec::new(),
            project_ids: Vec::new(),
            tags: Vec::new(),
            states: Vec::new(),
            run_ids: Vec::new(),
            checkpoint_ids: Vec::new(),
            parent_ids: Vec::new(),
            tree_digests: Vec::new(),
            content_md5s: Vec::new(),
            size: None,
            files: None,
            created_after: None,
            created_before: None,
            id_after: None,
            sort: Sort::default(),
            limit: 10,
            offset: 0,
        }
    }
}

/// Writes a new version.
pub fn insert(tx: &mut Tx, version: &ModelVersion) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO model_versions (id, state, reason, tag, move_tag, description, config, parent_id, tree_digest,
             content_md5, archive_sha256, archive_md5, archive_size, size, files, source_key, object_key, upload,
             part_size, updated_at, available_at, model_id, project_id, run_id, job_id, checkpoint_id, source,
             run_config, created_at, user_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                 $22, $23, $24, $25, $26, $27, $28, $29, $30)",
        &[
            &changing(version)?[..],
            params![
                version.model_id,
                version.project_id,
                version.run_id,
                version.job_id,
                version.checkpoint_id,
                version.source.clone(),
                version.run_config.as_ref().map(Json::to_string),
                version.created_at,
                &version.user_id,
            ],
        ]
        .concat(),
    )?;
    Ok(())
}

/// Writes what changes in a version's life: all but where it comes from.
pub fn save(tx: &mut Tx, version: &ModelVersion) -> Result<(), Error> {
    tx.execute(
        "UPDATE model_versions SET state = $2, reason = $3, tag = $4, move_tag = $5, description = $6, config = $7,
             parent_id = $8, tree_digest = $9, content_md5 = $10, archive_sha256 = $11, archive_md5 = $12,
             archive_size = $13, size = $14, files = $15, source_key = $16, object_key = $17, upload = $18,
             part_size = $19, updated_at = $20, available_at = $21
          WHERE id = $1",
        &changing(version)?,
    )?;
    Ok(())
}

fn changing(version: &ModelVersion) -> Result<[Value; 21], Error> {
    Ok([
        version.id.into(),
        version.state.word().into(),
        version.reason.clone().into(),
        version.tag.clone().into(),
        version.move_tag.into(),
        (&version.description).into(),
        Value::json(&version.config)?,
        version.parent_id.into(),
        version.tree_digest.clone().into(),
        version.content_md5.clone().into(),
        version.archive_sha256.clone().into(),
        version.archive_md5.clone().into(),
        version.archive_size.into(),
        version.size.into(),
        version.files.into(),
        version.source_key.clone().into(),
        (&version.object_key).into(),
        version.upload.clone().into(),
        version.part_size.into(),
        version.updated_at.into(),
        version.available_at.into(),
    ])
}

/// The version with this id.
pub fn get(tx: &mut Tx, id: ModelVersionId) -> Result<Option<ModelVersion>, Error> {
    one(tx, "v.id = $1", params![id])
}

/// The version of the model that this publish made, in whatever state.
pub fn by_source(tx: &mut Tx, model: ModelId, source_key: &str) -> Result<Option<ModelVersion>, Error> {
    one(tx, "v.model_id = $1 AND v.source_key = $2", params![model, source_key])
}

/// The available version of the model with this tag.
pub fn by_tag(tx: &mut Tx, model: ModelId, tag: &str) -> Result<Option<ModelVersion>, Error> {
    one(tx, "v.model_id = $1 AND v.tag = $2 AND v.state = 'available'", params![model, tag])
}

/// The available version of the model with this content.
pub fn by_tree(tx: &mut Tx, model: ModelId, tree_digest: &str) -> Result<Option<ModelVersion>, Error> {
    one(tx, "v.model_id = $1 AND v.tree_digest = $2 AND v.state = 'available'", params![model, tree_digest])
}

fn one(tx: &mut Tx, condition: &str, values: &[Value]) -> Result<Option<ModelVersion>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE {condition}");
    tx.query_opt(&sql, values)?.map(|row| from_row(&row)).transpose()
}

/// Versions that match, in order.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<ModelVersion>, Error> {
    let mut conditions = conditions(tx, filter);
    let place = (filter.limit, filter.offset);
    let page = conditions.page("v.id", None, filter.sort, filter.id_after, place);
    let sql = format!("SELECT {COLUMNS} FROM {FROM}{page}");
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// How many versions match, whatever the filter says of order and place.
pub fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, Error> {
    let conditions = conditions(tx, filter);
    let sql = format!("SELECT count(*) FROM {FROM}{}", conditions.clause());
    tx.query_one(&sql, conditions.values())?.get(0)
}

fn conditions(tx: &Tx, filter: &Filter) -> Conditions {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "v.id", filter.ids.iter().copied());
    conditions.any_of(dialect, "v.model_id", filter.model_ids.iter().copied());
    conditions.any_of(dialect, "m.name", &filter.models);
    conditions.any_of(dialect, "v.project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "v.tag", &filter.tags);
    conditions.any_of(dialect, "v.state", filter.states.iter().map(|state| state.word()));
    conditions.any_of(dialect, "v.run_id", filter.run_ids.iter().copied());
    conditions.any_of(dialect, "v.checkpoint_id", filter.checkpoint_ids.iter().copied());
    conditions.any_of(dialect, "v.parent_id", filter.parent_ids.iter().copied());
    conditions.any_of(dialect, "v.tree_digest", &filter.tree_digests);
    conditions.any_of(dialect, "v.content_md5", &filter.content_md5s);
    conditions.any_of(dialect, "v.size", filter.size);
    conditions.any_of(dialect, "v.files", filter.files);
    if let Some(after) = filter.created_after {
        let place = conditions.bind(after);
        conditions.and(format!("v.created_at > {place}"));
    }
    if let Some(before) = filter.created_before {
        let place = conditions.bind(before);
        conditions.and(format!("v.created_at < {place}"));
    }
    conditions
}

/// All versions of a model whose bytes are on their way.
pub fn uploading(tx: &mut Tx, model: ModelId) -> Result<Vec<ModelVersion>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE v.model_id = $1 AND v.upload IS NOT NULL");
    tx.query(&sql, params![model])?.iter().map(from_row).collect()
}

/// Digests of the sources of a model's versions.
pub fn sources(tx: &mut Tx, model: ModelId) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT source FROM model_versions WHERE model_id = $1 AND source IS NOT NULL";
    tx.query(sql, params![model])?.iter().map(|row| row.get(0)).collect()
}

/// Ids of versions in this state that nothing happened to since `before`.
pub fn idle(tx: &mut Tx, state: State, before: Millis, limit: i64) -> Result<Vec<ModelVersionId>, Error> {
    tx.query(
        "SELECT id FROM model_versions WHERE state <> 'available' AND state = $1 AND updated_at < $2 ORDER BY id LIMIT $3",
        params![state.word(), before, limit],
    )?
    .iter()
    .map(|row| row.get(0))
    .collect()
}

/// Deletes a version with what is known of its content. Versions that were made from it keep its id.
pub fn delete(tx: &mut Tx, id: ModelVersionId) -> Result<(), Error> {
    for table in ["model_files WHERE version_id", "model_parts WHERE version_id", "model_versions WHERE id"] {
        tx.execute(&format!("DELETE FROM {table} = $1"), params![id])?;
    }
    Ok(())
}

fn from_row(row: &Row) -> Result<ModelVersion, Error> {
    let state: String = row.get(4)?;
    Ok(ModelVersion {
        id: row.get(0)?,
        model_id: row.get(1)?,
        model: row.get(2)?,
        project_id: row.get(3)?,
        state: State::from_word(&state)
            .ok_or_else(|| Error::Sql(format!("`{state}` is not a state of a model version")))?,
        reason: row.get(5)?,
        tag: row.get(6)?,
        move_tag: row.get(7)?,
        description: row.get(8)?,
        config: row.json(9)?,
        parent_id: row.get(10)?,
        run_id: row.get(11)?,
        job_id: row.get(12)?,
        checkpoint_id: row.get(13)?,
        source: row.get(14)?,
        run_config: row.json(15)?,
        tree_digest: row.get(16)?,
        content_md5: row.get(17)?,
        archive_sha256: row.get(18)?,
        archive_md5: row.get(19)?,
        archive_size: row.get(20)?,
        size: row.get(21)?,
        files: row.get(22)?,
        source_key: row.get(23)?,
        object_key: row.get(24)?,
        upload: row.get(25)?,
        part_size: row.get(26)?,
        created_at: row.get(27)?,
        updated_at: row.get(28)?,
        available_at: row.get(29)?,
        user_id: row.get(30)?,
    })
}
