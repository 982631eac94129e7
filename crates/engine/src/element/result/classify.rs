//! Classes of corpora, and classifications of elements.

use std::collections::HashMap;

use runyard_domain::{
    ClassId, ClassificationId, CorpusId, ElementId, FieldErrors, WorkerRunId,
    element::{self as rules, ClassificationState},
};
pub use runyard_store::element::result::class::Page;
use runyard_store::{self as store, element::result::class};

use super::{Again, Class, Classification, check_count, check_writer, hold, origin};
use crate::{Actor, Engine, Error, Result, corpus};

/// A classification to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewClassification {
    /// The class.
    pub class_id: ClassId,
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether who writes it is sure.
    pub high_confidence: bool,
    /// What people said of it.
    pub state: ClassificationState,
}

/// Makes a class.
///
/// # Errors
/// 409 `already_exists` when the corpus has the name.
pub async fn create_class(engine: &Engine, actor: &Actor, corpus: CorpusId, name: String) -> Result<Class> {
    let mut errors = FieldErrors::default();
    rules::check_name("name", &name, &mut errors);
    errors.finish(())?;
    let (id, actor) = (engine.id(ClassId::new), actor.clone());
    engine
        .db
        .write(move |tx| {
            let corpus = corpus::hold(tx, &actor, corpus)?;
            let class = Class { id, corpus_id: corpus.id, name: name.clone() };
            if class::by_name(tx, corpus.id, &name)?.is_some() {
                let message = format!("there is a class `{name}` in this corpus already");
                return Err(Error::Conflict { code: "already_exists", message });
            }
            class::insert(tx, &class)?;
            Ok(class)
        })
        .await
}

/// Classes of a corpus by name, and how many there are.
pub async fn classes(
    engine: &Engine,
    actor: &Actor,
    corpus: CorpusId,
    page: Page,
) -> Result<(Vec<Class>, i64)> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let corpus = corpus::readable(tx, &actor, corpus)?;
            Ok::<_, Error>((class::list(tx, corpus.id, &page)?, class::count(tx, corpus.id)?))
        })
        .await
}

/// Writes classifications of an element; answers them in the order of the request.
///
/// # Errors
/// Every wrong one as `classifications.N.field`. With [`Again::IsLeftOut`] 409 `already_classified` when the element has one
/// of the classes from the same worker run (or from people).
pub async fn classify(
    engine: &Engine,
    actor: &Actor,
    element: ElementId,
    worker_run: Option<WorkerRunId>,
    new: Vec<NewClassification>,
    again: Again,
) -> Result<Vec<(Classification, String)>> {
    check(&new)?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let (element, corpus) = hold(tx, &actor, element)?;
            check_writer(tx, &actor, &corpus, worker_run)?;
            let wanted: Vec<ClassId> = new.iter().map(|one| one.class_id).collect();
            let known = class::by_ids(tx, corpus.id, &wanted)?;
            let mut errors = FieldErrors::default();
            for (index, one) in new.iter().enumerate().filter(|(_, one)| !known.contains_key(&one.class_id)) {
                let message = format!("there is no class `{}` in this corpus", one.class_id);
                errors.add(format!("classifications.{index}.class_id"), message);
            }
            errors.finish(())?;
            let origin = origin(tx, worker_run, element.id, now)?;
            let mut ids = ids.clone();
            let row = |one: &NewClassification| Classification {
                id: ClassificationId(ids.take()),
                element_id: element.id,
                class_id: one.class_id,
                confidence: one.confidence,
                high_confidence: one.high_confidence,
                state: one.state,
                origin,
            };
            let rows: Vec<Classification> = new.iter().map(row).collect();
            if class::insert_all(tx, &rows, again)? < rows.len() as u64 {
                let message = "the element has this class from the same worker run already: \
                    element, worker run and class are together once";
                return Err(Error::Conflict { code: "already_classified", message: message.to_owned() });
            }
            let named = |row: Classification| {
                let name = known[&row.class_id].name.clone();
                (row, name)
            };
            Ok(rows.into_iter().map(named).collect())
        })
        .await
}

fn check(new: &[NewClassification]) -> Result<()> {
    check_count("classifications", new.len())?;
    let mut errors = FieldErrors::default();
    let mut seen = HashMap::new();
    for (index, one) in new.iter().enumerate() {
        let path = format!("classifications.{index}");
        rules::check_confidence(&format!("{path}.confidence"), Some(one.confidence), &mut errors);
        if let Some(first) = seen.insert(one.class_id, index) {
            errors.add(
                format!("{path}.class_id"),
                format!("is that of {first} too: an element has a class once"),
            );
        }
    }
    Ok(errors.finish(())?)
}

/// Classifications of an element with the names of their classes, the oldest first.
pub async fn list(
    engine: &Engine,
    actor: &Actor,
    element: ElementId,
) -> Result<Vec<(Classification, String)>> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            super::readable(tx, &actor, element)?;
            Ok::<_, Error>(store::element::result::class::of_elements(tx, &[element])?)
        })
        .await
}
