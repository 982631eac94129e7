//! What was found about elements: written and taken back in one go for a worker run. Rows of each kind are in the files below.
//! Knows nothing of leases: who may write is decided before.

use std::collections::HashMap;

use runyard_domain::{
    ClassificationId, CorpusId, ElementId, EntityId, ImageId, MetadataId, Millis, TranscriptionEntityId,
    TranscriptionId, WorkerRunId,
    element::{self, Results},
    id::Series,
};

use self::{
    class::Classification,
    entity::{Entity, TranscriptionEntity},
    metadata::Metadata,
    transcription::Transcription,
};
use super::{Element, delete, link, values};
use crate::{
    db::{Error, Row, Tx, Value},
    params,
};

pub mod class;
pub mod entity;
pub mod metadata;
pub mod transcription;

/// Nothing refers to the row of `entities`.
pub(super) const UNUSED_ENTITY: &str =
    "NOT EXISTS (SELECT 1 FROM transcription_entities t WHERE t.entity_id = entities.id)
     AND NOT EXISTS (SELECT 1 FROM metadata m WHERE m.entity_id = entities.id)";

/// Where a result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Who wrote it; `None`: a person.
    pub worker_run: Option<WorkerRunId>,
    /// The element under work, where that is another one than the element that the result is about.
    pub root: Option<ElementId>,
    /// When.
    pub at: Millis,
}

impl Origin {
    /// The three last columns of every result.
    const COLUMNS: &str = "worker_run_id, root_element, created_at";

    fn values(self) -> [Value; 3] {
        [self.worker_run.into(), self.root.into(), self.at.into()]
    }

    fn from_row(row: &Row, first: usize) -> Result<Self, Error> {
        Ok(Self { worker_run: row.get(first)?, root: row.get(first + 1)?, at: row.get(first + 2)? })
    }
}

/// Who writes results, when, and under which ids.
#[derive(Debug, Clone)]
pub struct Writing {
    /// Who; `None`: a person.
    pub worker_run: Option<WorkerRunId>,
    /// Ids of what is made, the same ones in every attempt of a closure.
    pub ids: Series,
    /// The time.
    pub now: Millis,
}

/// What results are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The element.
    pub id: ElementId,
    /// Its corpus.
    pub corpus_id: CorpusId,
    /// Its image: that of the children that are found on it.
    pub image_id: Option<ImageId>,
}

impl From<&Element> for Target {
    fn from(element: &Element) -> Self {
        Self { id: element.id, corpus_id: element.corpus_id, image_id: element.image_id }
    }
}

/// Deletes everything that this worker run wrote for this element, and the elements that it made while this one was under
/// work, with what is below them.
pub fn clear(tx: &mut Tx, worker_run: WorkerRunId, element: ElementId) -> Result<(), Error> {
    clear_all(tx, worker_run, &[element])
}

/// The same for many elements, in a few statements.
pub fn clear_all(tx: &mut Tx, worker_run: WorkerRunId, elements: &[ElementId]) -> Result<(), Error> {
    let (run, ids) = (params![worker_run], values(elements));
    let made = tx.query_in(run, &ids, |places| {
        format!("SELECT id FROM elements WHERE worker_run_id = $1 AND root_element IN ({places})")
    })?;
    if !made.is_empty() {
        let made = made.iter().map(|row| row.get(0)).collect::<Result<Vec<_>, _>>()?;
        let all = delete::with_descendants(tx, &made)?;
        delete::delete_all(tx, &all)?;
    }
    let own = "worker_run_id = $1 AND root_element IS NULL";
    for sql in [
        // Whoever wrote entities into a text that goes: they go with it.
        "transcription_entities WHERE transcription_id IN
             (SELECT t.id FROM transcriptions t WHERE t.worker_run_id = $1 AND t.root_element IS NULL
                 AND t.element_id IN (?))"
            .to_owned(),
        "transcription_entities WHERE transcription_id IN
             (SELECT t.id FROM transcriptions t WHERE t.worker_run_id = $1 AND t.root_element IN (?))"
            .to_owned(),
        format!(
            "transcription_entities WHERE {own} AND transcription_id IN
                 (SELECT t.id FROM transcriptions t WHERE t.element_id IN (?))"
        ),
        format!("transcriptions WHERE {own} AND element_id IN (?)"),
        format!("classifications WHERE {own} AND element_id IN (?)"),
        format!("metadata WHERE {own} AND element_id IN (?)"),
        "transcription_entities WHERE worker_run_id = $1 AND root_element IN (?)".to_owned(),
        "transcriptions WHERE worker_run_id = $1 AND root_element IN (?)".to_owned(),
        "classifications WHERE worker_run_id = $1 AND root_element IN (?)".to_owned(),
        "metadata WHERE worker_run_id = $1 AND root_element IN (?)".to_owned(),
        format!("entities WHERE worker_run_id = $1 AND root_element IN (?) AND {UNUSED_ENTITY}"),
    ] {
        tx.execute_in(run, &ids, |places| format!("DELETE FROM {}", sql.replace('?', places)))?;
    }
    Ok(())
}

/// Writes what was found about an element. Classes and types of entities are made when the corpus has none of the name;
/// types of child elements must be there.
pub fn write(tx: &mut Tx, writing: &mut Writing, target: Target, results: &Results) -> Result<(), Error> {
    write_all(tx, writing, &[(target, results)])
}

/// The same for many elements, in a few statements. A class that the worker run gave to an element before, while another one
/// was under work, is given anew.
pub fn write_all(tx: &mut Tx, writing: &mut Writing, all: &[(Target, &Results)]) -> Result<(), Error> {
    let mut rows = Rows::default();
    for (target, results) in all {
        rows.corpora.entry(target.corpus_id).or_default();
        let origin = Origin { worker_run: writing.worker_run, root: None, at: writing.now };
        rows.collect(writing, *target, target.id, origin, results);
    }
    rows.write(tx, writing)
}

/// Names that a corpus must know before rows can refer to them.
#[derive(Default)]
struct Names<'a> {
    classes: Vec<&'a str>,
    entity_types: Vec<&'a str>,
}

/// An entity whose type is only known by its name yet.
struct NewEntity<'a> {
    id: EntityId,
    corpus_id: CorpusId,
    name: String,
    origin: Origin,
    given: &'a element::Entity,
}

/// Everything to write, by table.
#[derive(Default)]
struct Rows<'a> {
    corpora: HashMap<CorpusId, Names<'a>>,
    elements: Vec<Element>,
    links: Vec<link::Link>,
    /// Rows whose ids of classes and types are known only once their names are.
    classifications: Vec<(CorpusId, ElementId, Origin, &'a element::Classification)>,
    transcriptions: Vec<Transcription>,
    entities: Vec<NewEntity<'a>>,
    places: Vec<TranscriptionEntity>,
    metadata: Vec<Metadata>,
}

impl<'a> Rows<'a> {
    fn collect(
        &mut self,
        writing: &mut Writing,
        target: Target,
        root: ElementId,
        origin: Origin,
        results: &'a Results,
    ) {
        let corpus = target.corpus_id;
        for one in &results.classifications {
            self.corpora.entry(corpus).or_default().classes.push(&one.class);
            self.classifications.push((corpus, target.id, origin, one));
        }
        let mut known = HashMap::new();
        for one in &results.transcriptions {
            self.collect_transcription(writing, target, root, origin, one, &mut known);
        }
        for one in &results.metadata {
            self.metadata.push(Metadata {
                id: MetadataId(writing.ids.take()),
                element_id: target.id,
                of_type: one.of_type,
                name: one.name.clone(),
                value: one.value.clone(),
                entity_id: None,
                origin,
            });
        }
        for child in &results.children {
            let id = ElementId(writing.ids.take());
            // A person's work has no element under work.
            let root_element = origin.worker_run.map(|_| root);
            self.elements.push(Element {
                id,
                corpus_id: corpus,
                of_type: child.of_type.clone(),
                name: child.name.clone(),
                payload: child.payload.clone(),
                image_id: child.polygon.as_ref().and(target.image_id),
                polygon: child.polygon.clone(),
                rotation_angle: child.rotation_angle,
                mirrored: child.mirrored,
                confidence: child.confidence,
                worker_run_id: origin.worker_run,
                root_element,
                top_level: false,
                created_at: writing.now,
            });
            self.links.push((target.id, id));
            if let Some(results) = &child.results {
                let target = Target { id, ..target };
                self.collect(writing, target, root, Origin { root: root_element, ..origin }, results);
            }
        }
    }

    fn collect_transcription(
        &mut self,
        writing: &mut Writing,
        target: Target,
        root: ElementId,
        origin: Origin,
        one: &'a element::Transcription,
        known: &mut HashMap<(&'a str, String), EntityId>,
    ) {
        let id = TranscriptionId(writing.ids.take());
        self.transcriptions.push(Transcription {
            id,
            element_id: target.id,
            text: one.text.clone(),
            confidence: one.confidence,
            orientation: one.orientation,
            origin,
        });
        for entity in &one.entities {
            let name = entity.name_in(&one.text);
            let key = (entity.of_type.as_str(), name.clone());
            // The same name of the same type on one element is the same entity.
            let entity_id = *known.entry(key).or_insert_with(|| {
                let entity_id = EntityId(writing.ids.take());
                self.corpora.entry(target.corpus_id).or_default().entity_types.push(&entity.of_type);
                self.entities.push(NewEntity {
                    id: entity_id,
                    corpus_id: target.corpus_id,
                    name,
                    // An entity is about no element: who made it is told by the element under work alone.
                    origin: Origin { root: origin.worker_run.map(|_| root), ..origin },
                    given: entity,
                });
                entity_id
            });
            self.places.push(TranscriptionEntity {
                id: TranscriptionEntityId(writing.ids.take()),
                transcription_id: id,
                entity_id,
                offset: entity.offset,
                length: entity.length,
                confidence: entity.confidence,
                origin,
            });
        }
    }

    fn write(self, tx: &mut Tx, writing: &mut Writing) -> Result<(), Error> {
        let (mut classes, mut types) = (HashMap::new(), HashMap::new());
        for (corpus, names) in &self.corpora {
            classes.insert(*corpus, class::put_all(tx, *corpus, &names.classes, &mut writing.ids)?);
            types.insert(*corpus, entity::put_types(tx, *corpus, &names.entity_types, &mut writing.ids)?);
        }
        super::insert_all(tx, &self.elements)?;
        link::add_all(tx, &self.links, false)?;
        let classifications: Vec<Classification> = self
            .classifications
            .into_iter()
            .map(|(corpus, element_id, origin, one)| Classification {
                id: ClassificationId(writing.ids.take()),
                element_id,
                class_id: classes[&corpus][one.class.as_str()],
                confidence: one.confidence,
                high_confidence: one.high_confidence,
                state: one.state,
                origin,
            })
            .collect();
        class::insert_all(tx, &classifications, class::Again::Replaces)?;
        transcription::insert_all(tx, &self.transcriptions)?;
        let entities: Vec<Entity> = self
            .entities
            .into_iter()
            .map(|new| Entity {
                id: new.id,
                corpus_id: new.corpus_id,
                type_id: types[&new.corpus_id][new.given.of_type.as_str()],
                name: new.name,
                metas: new.given.metas.clone(),
                validated: false,
                origin: new.origin,
            })
            .collect();
        entity::insert_all(tx, &entities)?;
        entity::place_all(tx, &self.places)?;
        metadata::insert_all(tx, &self.metadata)
    }
}
