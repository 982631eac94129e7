//! Pages of an export as rows of ours.

use std::str::FromStr;

use runyard_domain::{
    DatasetId, ElementId, EntityId, Millis, WorkerRunId,
    activity::{self, Counts},
    dataset::State,
    element::{ClassificationState, MetadataType, Orientation, Polygon},
    worker_run::{Mode, Selection},
};
use rusqlite::Row;
use serde_json::{Map, Value as Json};

use super::{Export, Place, failed};
use crate::{
    dataset::Dataset,
    db::Error,
    element::{
        Element,
        result::{
            Origin,
            class::Classification,
            entity::{Entity, EntityType, TranscriptionEntity},
            metadata::Metadata,
            transcription::Transcription,
        },
    },
    image::Image,
    worker_run::WorkerRun,
};

/// Rows of one page.
const PAGE: i64 = 1000;
/// Characters of the name of an entity.
const NAME: usize = 250;

/// The tables of an export, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Who found what.
    WorkerRuns,
    /// Images.
    Images,
    /// Elements.
    Elements,
    /// Who is above whom.
    Links,
    /// Texts.
    Transcriptions,
    /// Classifications.
    Classifications,
    /// Types of entities.
    EntityTypes,
    /// Entities in texts.
    Entities,
    /// Metadata.
    Metadata,
    /// Datasets.
    Datasets,
    /// Elements in sets.
    Members,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 11] = [
        Self::WorkerRuns,
        Self::Images,
        Self::Elements,
        Self::Links,
        Self::Transcriptions,
        Self::Classifications,
        Self::EntityTypes,
        Self::Entities,
        Self::Metadata,
        Self::Datasets,
        Self::Members,
    ];

    /// The table's own name in the file.
    fn name(self) -> &'static str {
        match self {
            Self::WorkerRuns => "worker_run",
            Self::Images => "image",
            Self::Elements => "element",
            Self::Links => "element_path",
            Self::Transcriptions => "transcription",
            Self::Classifications => "classification",
            Self::EntityTypes => "entity_type",
            Self::Entities => "transcription_entity",
            Self::Metadata => "metadata",
            Self::Datasets => "dataset",
            Self::Members => "dataset_element",
        }
    }

    /// What is read of a row, behind its number.
    fn select(self) -> &'static str {
        match self {
            Self::WorkerRuns => {
                "t.id, v.slug, v.name, coalesce(v.revision, v.version), t.configuration, t.model_version_id
                   FROM worker_run t JOIN worker_version v ON v.id = t.worker_version_id"
            }
            Self::Images => {
                "t.id, t.url, t.width, t.height, s.max_width, s.max_height
                   FROM image t LEFT JOIN image_server s ON s.id = t.server_id"
            }
            Self::Elements => {
                "t.id, t.type, t.name, t.image_id, t.polygon, t.rotation_angle, t.mirrored, t.confidence,
                 t.worker_run_id, t.created, NOT EXISTS (SELECT 1 FROM has_parent h WHERE h.id = t.id), i.url
                   FROM element t LEFT JOIN image i ON i.id = t.image_id"
            }
            Self::Links => "t.parent_id, t.child_id, t.ordering FROM element_path t",
            Self::Transcriptions => {
                "t.id, t.element_id, t.text, t.confidence, t.orientation, t.worker_run_id FROM transcription t"
            }
            Self::Classifications => {
                "t.id, t.element_id, t.class_name, t.confidence, t.worker_run_id FROM classification t"
            }
            Self::EntityTypes => "t.id, t.name, t.color FROM entity_type t",
            Self::Entities => {
                "t.id, t.transcription_id, t.offset, t.length, t.confidence, t.worker_run_id, e.name, x.text
                   FROM transcription_entity t JOIN entity_type e ON e.id = t.type_id
                   JOIN transcription x ON x.id = t.transcription_id"
            }
            Self::Metadata => "t.id, t.element_id, t.type, t.name, t.value, t.worker_run_id FROM metadata t",
            Self::Datasets => "t.id, t.name, t.description, t.sets FROM dataset t",
            Self::Members => "t.dataset_id, t.set_name, t.element_id FROM dataset_element t",
        }
    }
}

/// Rows of one table.
#[derive(Debug, Clone)]
pub enum Page {
    /// See [`Table`].
    WorkerRuns(Vec<WorkerRun>),
    /// See [`Table`].
    Images(Vec<Image>),
    /// Each with the address of its image, which the project may know under another id.
    Elements(Vec<(Element, Option<String>)>),
    /// Parent, child, and its place among the children.
    Links(Vec<(ElementId, ElementId, i64)>),
    /// See [`Table`].
    Transcriptions(Vec<Transcription>),
    /// Each with the name of its class, whose id is not known yet.
    Classifications(Vec<(Classification, String)>),
    /// See [`Table`].
    EntityTypes(Vec<EntityType>),
    /// Each with its place and the name of its type, whose id may be another one.
    Entities(Vec<(Entity, TranscriptionEntity, String)>),
    /// See [`Table`].
    Metadata(Vec<Metadata>),
    /// Each with the names of its sets.
    Datasets(Vec<(Dataset, Vec<String>)>),
    /// Dataset, set, element.
    Members(Vec<(DatasetId, String, ElementId)>),
}

impl Export {
    /// The slugs of all types of elements.
    pub fn types(&self) -> Result<Vec<String>, Error> {
        let mut statement =
            self.connection.prepare("SELECT DISTINCT type FROM element ORDER BY 1").map_err(failed)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// The rows of a table that follow row `after`, and the number of the last of them; `None`: there are none.
    pub fn page(&self, table: Table, place: Place, after: i64) -> Result<Option<(Page, i64)>, Error> {
        if !self.has(table.name())? {
            return Ok(None);
        }
        let sql =
            format!("SELECT t.rowid, {} WHERE t.rowid > ?1 ORDER BY t.rowid LIMIT {PAGE}", table.select());
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query([after]).map_err(failed)?;
        let (mut page, mut last) = (Page::empty(table), None);
        while let Some(row) = rows.next().map_err(failed)? {
            last = Some(row.get(0).map_err(failed)?);
            page.take(row, place)?;
        }
        Ok(last.map(|last| (page, last)))
    }
}

impl Page {
    fn empty(table: Table) -> Self {
        match table {
            Table::WorkerRuns => Self::WorkerRuns(Vec::new()),
            Table::Images => Self::Images(Vec::new()),
            Table::Elements => Self::Elements(Vec::new()),
            Table::Links => Self::Links(Vec::new()),
            Table::Transcriptions => Self::Transcriptions(Vec::new()),
            Table::Classifications => Self::Classifications(Vec::new()),
            Table::EntityTypes => Self::EntityTypes(Vec::new()),
            Table::Entities => Self::Entities(Vec::new()),
            Table::Metadata => Self::Metadata(Vec::new()),
            Table::Datasets => Self::Datasets(Vec::new()),
            Table::Members => Self::Members(Vec::new()),
        }
    }

    fn take(&mut self, row: &Row, place: Place) -> Result<(), Error> {
        match self {
            Self::WorkerRuns(all) => all.push(worker_run(row, place)?),
            Self::Images(all) => all.push(Image {
                id: id(row, 1)?,
                project_id: place.project,
                url: get(row, 2)?,
                width: size(row, 3)?,
                height: size(row, 4)?,
                s3_url: None,
                max_width: get(row, 5)?,
                max_height: get(row, 6)?,
                created_at: place.now,
            }),
            Self::Elements(all) => all.push((element(row, place)?, get(row, 12)?)),
            Self::Links(all) => all.push((id(row, 1)?, id(row, 2)?, get(row, 3)?)),
            Self::Transcriptions(all) => all.push(Transcription {
                id: id(row, 1)?,
                element_id: id(row, 2)?,
                text: get(row, 3)?,
                confidence: get(row, 4)?,
                orientation: Orientation::from_word(&get::<String>(row, 5)?).unwrap_or_default(),
                origin: origin(row, 6, place)?,
            }),
            Self::Classifications(all) => {
                let own: runyard_domain::ClassificationId = id(row, 1)?;
                let classification = Classification {
                    id: own,
                    element_id: id(row, 2)?,
                    // Only until the class is known.
                    class_id: runyard_domain::ClassId(own.0),
                    confidence: get(row, 4)?,
                    high_confidence: false,
                    state: ClassificationState::Pending,
                    origin: origin(row, 5, place)?,
                };
                all.push((classification, get(row, 3)?));
            }
            Self::EntityTypes(all) => all.push(EntityType {
                id: id(row, 1)?,
                corpus_id: place.corpus,
                name: get(row, 2)?,
                color: get(row, 3)?,
            }),
            Self::Entities(all) => all.push(entity(row, place)?),
            Self::Metadata(all) => all.push(Metadata {
                id: id(row, 1)?,
                element_id: id(row, 2)?,
                // A type that we do not know is text too.
                of_type: MetadataType::from_word(&get::<String>(row, 3)?).unwrap_or(MetadataType::Text),
                name: get(row, 4)?,
                value: get(row, 5)?,
                entity_id: None,
                origin: origin(row, 6, place)?,
            }),
            Self::Datasets(all) => all.push((dataset(row, place)?, sets(&get::<String>(row, 4)?))),
            Self::Members(all) => all.push((id(row, 1)?, get(row, 2)?, id(row, 3)?)),
        }
        Ok(())
    }
}

fn worker_run(row: &Row, place: Place) -> Result<WorkerRun, Error> {
    let (worker, name): (String, String) = (get(row, 2)?, get(row, 3)?);
    let version = match get::<rusqlite::types::Value>(row, 4)? {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        // A revision is the address of a commit.
        rusqlite::types::Value::Text(text) => {
            text.rsplit('/').next().unwrap_or_default().chars().take(40).collect()
        }
        _ => "unversioned".to_owned(),
    };
    let configuration =
        get::<Option<String>>(row, 5)?.and_then(|text| serde_json::from_str::<Json>(&text).ok());
    Ok(WorkerRun {
        id: id(row, 1)?,
        project_id: place.project,
        corpus_id: Some(place.corpus),
        run_id: None,
        summary: format!("Worker {name} @ {version}"),
        worker,
        mode: Mode::Workers,
        configuration: match configuration {
            Some(Json::Object(object)) => object,
            _ => Map::new(),
        },
        worker_configuration: Map::new(),
        user_configuration: Map::new(),
        secrets: Vec::new(),
        model_version_id: get(row, 6)?,
        selection: Selection::default(),
        max_attempts: activity::MAX_ATTEMPTS,
        lease_ms: activity::LEASE_MS,
        created_at: place.now,
        counts: Counts::default(),
    })
}

fn element(row: &Row, place: Place) -> Result<Element, Error> {
    let own: ElementId = id(row, 1)?;
    let polygon = get::<Option<String>>(row, 5)?
        .map(|text| serde_json::from_str::<Polygon>(&text))
        .transpose()
        .map_err(|error| Error::Sql(format!("the polygon of element `{own}` cannot be read: {error}")))?;
    Ok(Element {
        id: own,
        corpus_id: place.corpus,
        of_type: get(row, 2)?,
        name: get(row, 3)?,
        payload: None,
        image_id: id_or_none(row, 4)?,
        polygon,
        rotation_angle: get(row, 6)?,
        mirrored: get(row, 7)?,
        confidence: get(row, 8)?,
        worker_run_id: id_or_none(row, 9)?,
        root_element: None,
        top_level: get(row, 11)?,
        created_at: get::<Option<f64>>(row, 10)?
            .map_or(place.now, |seconds| Millis((seconds * 1000.0) as i64)),
    })
}

fn entity(row: &Row, place: Place) -> Result<(Entity, TranscriptionEntity, String), Error> {
    let place_id: runyard_domain::TranscriptionEntityId = id(row, 1)?;
    let (offset, length): (i64, i64) = (get(row, 3)?, get(row, 4)?);
    let (of_type, text): (String, String) = (get(row, 7)?, get(row, 8)?);
    let origin = origin(row, 6, place)?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let name: String = text
        .chars()
        .skip(start)
        .take(usize::try_from(length).unwrap_or(0).min(NAME))
        .filter(|c| !c.is_control())
        .collect();
    let entity = Entity {
        // Since its version 8, Arkindex knows places only: an entity of ours has the id of its one place.
        id: EntityId(place_id.0),
        corpus_id: place.corpus,
        type_id: runyard_domain::EntityTypeId(place_id.0),
        name: if name.trim().is_empty() { of_type.clone() } else { name },
        metas: None,
        validated: false,
        origin,
    };
    let at = TranscriptionEntity {
        id: place_id,
        transcription_id: id(row, 2)?,
        entity_id: entity.id,
        offset,
        length,
        confidence: get(row, 5)?,
        origin,
    };
    Ok((entity, at, of_type))
}

fn dataset(row: &Row, place: Place) -> Result<Dataset, Error> {
    Ok(Dataset {
        id: id(row, 1)?,
        corpus_id: place.corpus,
        name: get(row, 2)?,
        description: get(row, 3)?,
        state: State::Open,
        error: None,
        seed: None,
        task_id: None,
        archive: None,
        created_at: place.now,
        updated_at: place.now,
    })
}

/// A JSON list, or names with commas between them.
fn sets(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| {
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    })
}

fn origin(row: &Row, at: usize, place: Place) -> Result<Origin, Error> {
    Ok(Origin { worker_run: id_or_none::<WorkerRunId>(row, at)?, root: None, at: place.now })
}

fn get<T: rusqlite::types::FromSql>(row: &Row, at: usize) -> Result<T, Error> {
    row.get(at).map_err(failed)
}

/// A side of an image; 0 when it is not known.
fn size(row: &Row, at: usize) -> Result<Option<i64>, Error> {
    Ok(get::<Option<i64>>(row, at)?.filter(|side| *side > 0))
}

fn id<T: FromStr<Err: std::fmt::Display>>(row: &Row, at: usize) -> Result<T, Error> {
    get::<String>(row, at)?.parse().map_err(|error| Error::Sql(format!("{error}")))
}

fn id_or_none<T: FromStr<Err: std::fmt::Display>>(row: &Row, at: usize) -> Result<Option<T>, Error> {
    let text = get::<Option<String>>(row, at)?;
    text.map(|text| text.parse().map_err(|error| Error::Sql(format!("{error}")))).transpose()
}
