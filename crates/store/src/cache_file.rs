//! A SQLite file with elements and what was found about them, in the schema of Arkindex's cache (version 3): what the archive of
//! a dataset has. Ids are 32 hexadecimal digits; JSON is text; flags are 0 or 1.

use std::{collections::BTreeSet, fmt::Display, path::Path};

use runyard_domain::{DatasetId, ElementId, ImageId, WorkerRunId, id::Series};
use rusqlite::{Connection, params};

use crate::{
    dataset::{Dataset, Member},
    db::{Error, Tx},
    element::{self, link, result},
    image::{self, Image},
};

/// As `arkindex-base-worker` 0.4.0 creates it.
const SCHEMA: &str = r#"
CREATE TABLE "version" ("version" INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE "images" ("id" TEXT NOT NULL PRIMARY KEY, "width" INTEGER NOT NULL, "height" INTEGER NOT NULL, "url" TEXT NOT NULL);
CREATE TABLE "elements" ("id" TEXT NOT NULL PRIMARY KEY, "parent_id" TEXT, "type" VARCHAR(50) NOT NULL, "image_id" TEXT, "polygon" text, "rotation_angle" INTEGER NOT NULL, "mirrored" INTEGER NOT NULL, "initial" INTEGER NOT NULL, "worker_version_id" TEXT, "worker_run_id" TEXT, "confidence" REAL, FOREIGN KEY ("image_id") REFERENCES "images" ("id"));
CREATE INDEX "cachedelement_image_id" ON "elements" ("image_id");
CREATE TABLE "transcriptions" ("id" TEXT NOT NULL PRIMARY KEY, "element_id" TEXT NOT NULL, "text" TEXT NOT NULL, "confidence" REAL, "orientation" VARCHAR(50) NOT NULL, "worker_version_id" TEXT, "worker_run_id" TEXT, FOREIGN KEY ("element_id") REFERENCES "elements" ("id"));
CREATE INDEX "cachedtranscription_element_id" ON "transcriptions" ("element_id");
CREATE TABLE "classifications" ("id" TEXT NOT NULL PRIMARY KEY, "element_id" TEXT NOT NULL, "class_name" TEXT NOT NULL, "confidence" REAL NOT NULL, "state" VARCHAR(10) NOT NULL, "worker_run_id" TEXT, FOREIGN KEY ("element_id") REFERENCES "elements" ("id"));
CREATE INDEX "cachedclassification_element_id" ON "classifications" ("element_id");
CREATE TABLE "entities" ("id" TEXT NOT NULL PRIMARY KEY, "type" VARCHAR(50) NOT NULL, "name" TEXT NOT NULL, "validated" INTEGER NOT NULL, "metas" text, "worker_run_id" TEXT);
CREATE TABLE "transcription_entities" ("transcription_id" TEXT NOT NULL, "entity_id" TEXT NOT NULL, "offset" INTEGER NOT NULL CHECK (offset >= 0), "length" INTEGER NOT NULL CHECK (length > 0), "worker_run_id" TEXT, "confidence" REAL, PRIMARY KEY ("transcription_id", "entity_id"), FOREIGN KEY ("transcription_id") REFERENCES "transcriptions" ("id"), FOREIGN KEY ("entity_id") REFERENCES "entities" ("id"));
CREATE INDEX "cachedtranscriptionentity_transcription_id" ON "transcription_entities" ("transcription_id");
CREATE INDEX "cachedtranscriptionentity_entity_id" ON "transcription_entities" ("entity_id");
CREATE TABLE "datasets" ("id" TEXT NOT NULL PRIMARY KEY, "name" VARCHAR(255) NOT NULL, "state" VARCHAR(255) NOT NULL DEFAULT 'open', "sets" TEXT NOT NULL);
CREATE TABLE "dataset_elements" ("id" TEXT NOT NULL PRIMARY KEY, "element_id" TEXT NOT NULL, "dataset_id" TEXT NOT NULL, "set_name" VARCHAR(255) NOT NULL, FOREIGN KEY ("element_id") REFERENCES "elements" ("id"), FOREIGN KEY ("dataset_id") REFERENCES "datasets" ("id"));
CREATE INDEX "cacheddatasetelement_element_id" ON "dataset_elements" ("element_id");
CREATE INDEX "cacheddatasetelement_dataset_id" ON "dataset_elements" ("dataset_id");
INSERT INTO "version" VALUES (3);
"#;

/// Members of a dataset with all that the file says of them.
#[derive(Debug, Default)]
pub struct Page {
    members: Vec<Member>,
    elements: Vec<(element::Element, Option<ElementId>)>,
    /// Their images.
    pub images: Vec<Image>,
    transcriptions: Vec<result::transcription::Transcription>,
    classifications: Vec<(result::class::Classification, String)>,
    entities: Vec<result::entity::Placed>,
}

/// Reads what the file says of these members.
pub fn read(tx: &mut Tx, members: Vec<Member>) -> Result<Page, Error> {
    let ids: Vec<ElementId> = members.iter().map(|member| member.element_id).collect();
    let parents = link::parents(tx, &ids)?;
    let found = element::by_ids(tx, &ids)?;
    let images: BTreeSet<ImageId> = found.values().filter_map(|element| element.image_id).collect();
    let images: Vec<ImageId> = images.into_iter().collect();
    let mut images: Vec<Image> = image::by_ids(tx, &images)?.into_values().collect();
    images.sort_by_key(|image| image.id);
    let parent = |id: &ElementId| parents.get(id).and_then(|all| all.first().copied());
    let mut elements: Vec<_> =
        found.into_values().map(|it| (parent(&it.id), it)).map(|(up, it)| (it, up)).collect();
    elements.sort_by_key(|(element, _)| element.id);
    let transcriptions = result::transcription::of_elements(tx, &ids)?;
    let texts: Vec<_> = transcriptions.iter().map(|text| text.id).collect();
    Ok(Page {
        members,
        elements,
        images,
        classifications: result::class::of_elements(tx, &ids)?,
        entities: result::entity::of_transcriptions(tx, &texts, None)?,
        transcriptions,
    })
}

/// A file that is being written; it is whole once [`CacheFile::finish`] has answered. Blocks.
#[derive(Debug)]
pub struct CacheFile {
    connection: Connection,
    dataset: DatasetId,
    ids: Series,
}

impl CacheFile {
    /// Begins the file of a dataset. Rows that have no id of their own get those of `ids`.
    pub fn create(path: &Path, dataset: &Dataset, sets: &[String], ids: Series) -> Result<Self, Error> {
        let connection = Connection::open(path).map_err(failed)?;
        // Nobody reads it before it is whole, and a killed build begins anew.
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(failed)?;
        connection.execute_batch(SCHEMA).and_then(|()| connection.execute_batch("BEGIN")).map_err(failed)?;
        let sets = serde_json::to_string(sets).map_err(|error| Error::Sql(error.to_string()))?;
        connection
            .execute(
                "INSERT INTO datasets (id, name, state, sets) VALUES (?1, ?2, 'complete', ?3)",
                params![hex(dataset.id), dataset.name, sets],
            )
            .map_err(failed)?;
        Ok(Self { connection, dataset: dataset.id, ids })
    }

    /// Adds members; those of an element that is in several sets once each.
    pub fn write(&mut self, page: &Page) -> Result<(), Error> {
        self.rows(page).map_err(failed)
    }

    /// Makes the file whole.
    pub fn finish(self) -> Result<(), Error> {
        self.connection.execute_batch("COMMIT").map_err(failed)?;
        self.connection.close().map_err(|(_, error)| failed(error))
    }

    fn rows(&mut self, page: &Page) -> rusqlite::Result<()> {
        self.images(&page.images)?;
        self.elements(&page.elements)?;
        self.results(page)?;
        let mut add = self.connection.prepare_cached(
            "INSERT INTO dataset_elements (id, element_id, dataset_id, set_name) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for member in &page.members {
            let id = hex(self.ids.take());
            add.execute(params![id, hex(member.element_id), hex(self.dataset), member.set])?;
        }
        Ok(())
    }

    fn images(&self, images: &[Image]) -> rusqlite::Result<()> {
        let mut add = self.connection.prepare_cached(
            "INSERT OR IGNORE INTO images (id, width, height, url) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for image in images {
            // The schema knows no image of unknown size.
            let (width, height) = image.size().unwrap_or((0, 0));
            add.execute(params![hex(image.id), width, height, image.url])?;
        }
        Ok(())
    }

    fn elements(&self, elements: &[(element::Element, Option<ElementId>)]) -> rusqlite::Result<()> {
        let mut add = self.connection.prepare_cached(
            "INSERT OR IGNORE INTO elements (id, parent_id, type, image_id, polygon, rotation_angle, mirrored, initial,
                                             worker_run_id, confidence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9)",
        )?;
        for (element, parent) in elements {
            add.execute(params![
                hex(element.id),
                parent.map(hex),
                element.of_type,
                element.image_id.map(hex),
                element.polygon.as_ref().and_then(|polygon| serde_json::to_string(polygon).ok()),
                element.rotation_angle,
                element.mirrored,
                by(element.worker_run_id),
                element.confidence,
            ])?;
        }
        Ok(())
    }

    fn results(&self, page: &Page) -> rusqlite::Result<()> {
        let connection = &self.connection;
        let mut text = connection.prepare_cached(
            "INSERT OR IGNORE INTO transcriptions (id, element_id, text, confidence, orientation, worker_run_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for one in &page.transcriptions {
            let (id, element) = (hex(one.id), hex(one.element_id));
            let run = by(one.origin.worker_run);
            text.execute(params![id, element, one.text, one.confidence, one.orientation.word(), run])?;
        }
        let mut class = connection.prepare_cached(
            "INSERT OR IGNORE INTO classifications (id, element_id, class_name, confidence, state, worker_run_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (one, name) in &page.classifications {
            let (id, element) = (hex(one.id), hex(one.element_id));
            let run = by(one.origin.worker_run);
            class.execute(params![id, element, name, one.confidence, one.state.word(), run])?;
        }
        let mut entity = connection.prepare_cached(
            "INSERT OR IGNORE INTO entities (id, type, name, validated, metas, worker_run_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let mut place = connection.prepare_cached(
            r#"INSERT OR IGNORE INTO transcription_entities (transcription_id, entity_id, "offset", length, worker_run_id,
                                                             confidence)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#,
        )?;
        for found in &page.entities {
            let (one, at) = (&found.entity, &found.place);
            let metas = one.metas.as_ref().and_then(|metas| serde_json::to_string(metas).ok());
            let run = by(one.origin.worker_run);
            entity.execute(params![hex(one.id), found.of_type, one.name, one.validated, metas, run])?;
            let (text, entity, run) = (hex(at.transcription_id), hex(at.entity_id), by(at.origin.worker_run));
            place.execute(params![text, entity, at.offset, at.length, run, at.confidence])?;
        }
        Ok(())
    }
}

fn hex(id: impl Display) -> String {
    id.to_string().replace('-', "")
}

fn by(run: Option<WorkerRunId>) -> Option<String> {
    run.map(hex)
}

fn failed(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::Full(error.to_string()),
        _ => Error::Sql(format!("the database of a dataset: {error}")),
    }
}
