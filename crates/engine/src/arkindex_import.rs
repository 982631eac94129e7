//! Imports a SQLite export of Arkindex as a corpus; every id is kept. The file is looked at as a whole first: when something is
//! wrong with it, nothing is written. Then it is written a page at a time, and what is there stays: so an import that was
//! interrupted is completed by the same import. Never believes what the file says of itself.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use runyard_domain::{CorpusId, ElementId, FieldErrors, ProjectId, element as rules};
pub use runyard_store::corpus::Corpus;
use runyard_store::{
    self as store,
    arkindex_export::{Export, Page, Place, Table},
};
use tokio::io::AsyncWriteExt as _;

use crate::{Actor, Engine, Error, Result, corpus, project};

/// Where exports are kept while they are read, below the cache. What a killed server leaves there, the next one deletes.
pub(crate) const FOLDER: &str = "exports";
/// Most bytes of an export.
pub const MAX_BYTES: u64 = 64 << 30;
/// Wrong rows that are named.
const NAMED: usize = 100;

/// What an import did.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The corpus.
    pub corpus: Corpus,
    /// Elements of the export.
    pub elements: i64,
}

/// Imports an export as the corpus with this name; makes it when the project has none. Durable when it answers.
///
/// # Errors
/// What is wrong with the file, below `export`; then nothing is written.
pub async fn import<E: std::fmt::Display>(
    engine: &Engine,
    actor: &Actor,
    project: Option<String>,
    name: String,
    bytes: impl Stream<Item = std::result::Result<Bytes, E>> + Send,
) -> Result<Imported> {
    let mut errors = FieldErrors::default();
    rules::check_name("name", &name, &mut errors);
    errors.finish(())?;
    let wanted = project.unwrap_or_else(|| project::DEFAULT.to_owned());
    let (own, project_name) = (actor.clone(), wanted.clone());
    let project = engine
        .db
        .read(move |tx| {
            let project = project::resolve(tx, &own, &project_name)?;
            corpus::people(&own, project.id, "import corpora")?;
            Ok::<_, Error>(project.id)
        })
        .await?;
    let exports = engine.options.cache_dir.join(FOLDER);
    let made = std::fs::create_dir_all(&exports);
    let folder = made.and_then(|()| tempfile::tempdir_in(&exports));
    let folder = folder.map_err(|error| Error::Internal(format!("a folder for the export: {error}")))?;
    let path = folder.path().join("export.sqlite");
    spool(&path, bytes).await?;
    let export = blocking(move || Ok(Export::open(&path)?)).await.map_err(not_an_export)?;
    let id = engine.id(CorpusId::new);
    // Rows are looked at as if the corpus were there.
    let place = Place { project, corpus: id, now: engine.now() };
    let export = check(engine, export, place, &name).await?;
    let new =
        corpus::NewCorpus { id: None, project: wanted, name: name.clone(), ..corpus::NewCorpus::default() };
    let corpus = match named(engine, project, &name).await? {
        Some(there) => there,
        None => corpus::create(engine, actor, new, None).await?,
    };
    let elements = write(engine, export, Place { corpus: corpus.id, ..place }).await?;
    Ok(Imported { corpus, elements })
}

async fn named(engine: &Engine, project: ProjectId, name: &str) -> Result<Option<Corpus>> {
    let name = name.to_owned();
    engine.db.read(move |tx| Ok::<_, Error>(store::corpus::by_name(tx, project, &name)?)).await
}

async fn spool<E: std::fmt::Display>(
    path: &PathBuf,
    bytes: impl Stream<Item = std::result::Result<Bytes, E>> + Send,
) -> Result<()> {
    let failed = |error: std::io::Error| Error::Internal(format!("the export cannot be kept: {error}"));
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    let mut bytes = std::pin::pin!(bytes);
    let mut length = 0;
    while let Some(chunk) = bytes.next().await {
        let chunk =
            chunk.map_err(|error| Error::field("export", format!("did not arrive whole: {error}")))?;
        length += chunk.len() as u64;
        if length > MAX_BYTES {
            return Err(Error::field("export", format!("has more than {MAX_BYTES} bytes")));
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

fn not_an_export(error: Error) -> Error {
    match error {
        Error::Internal(why) => Error::field(
            "export",
            format!("is no SQLite export of Arkindex: {why}; give the file that Arkindex made"),
        ),
        other => other,
    }
}

/// Everything that can be wrong, before anything is written.
async fn check(engine: &Engine, export: Export, place: Place, name: &str) -> Result<Export> {
    let (mut export, faults) = blocking(move || {
        let faults = export.faults()?;
        Ok((export, faults))
    })
    .await
    .map_err(not_an_export)?;
    if !faults.is_empty() {
        let mut errors = FieldErrors::default();
        for fault in faults {
            errors.add("export", fault);
        }
        return Err(Error::Invalid { fields: errors });
    }
    let target = named(engine, place.project, name).await?.map(|corpus| corpus.id);
    let mut errors = FieldErrors::default();
    for table in Table::ALL {
        let mut after = i64::MIN;
        loop {
            let (back, page) = read(export, table, place, after).await.map_err(not_an_export)?;
            export = back;
            let Some((page, last)) = page else { break };
            look(&page, &mut errors);
            elsewhere(engine, &page, place, target, &mut errors).await?;
            if errors.0.len() >= NAMED {
                errors.add("export", "there may be more: what follows was not looked at");
                return Err(Error::Invalid { fields: errors });
            }
            after = last;
        }
    }
    errors.finish(export).map_err(Into::into)
}

/// What is wrong with rows by themselves.
fn look(page: &Page, errors: &mut FieldErrors) {
    match page {
        Page::Images(all) => {
            for one in all {
                rules::check_url(&format!("image.{}.url", one.id), &one.url, errors);
            }
        }
        Page::Elements(all) => {
            for (one, _) in all {
                let path = format!("element.{}", one.id);
                rules::check_slug(&format!("{path}.type"), &one.of_type, errors);
                rules::check_name(&format!("{path}.name"), &one.name, errors);
                rules::check_confidence(&format!("{path}.confidence"), one.confidence, errors);
                rules::check_rotation(&format!("{path}.rotation_angle"), one.rotation_angle, errors);
                if let Some(polygon) = &one.polygon {
                    polygon.check(&format!("{path}.polygon"), None, errors);
                }
            }
        }
        Page::Classifications(all) => {
            for (one, class) in all {
                let path = format!("classification.{}", one.id);
                rules::check_name(&format!("{path}.class_name"), class, errors);
                rules::check_confidence(&format!("{path}.confidence"), Some(one.confidence), errors);
            }
        }
        Page::Transcriptions(all) => {
            for one in all {
                rules::check_confidence(
                    &format!("transcription.{}.confidence", one.id),
                    one.confidence,
                    errors,
                );
            }
        }
        Page::Datasets(all) => {
            for (one, sets) in all {
                let path = format!("dataset.{}", one.id);
                runyard_domain::blueprint::check_name(&format!("{path}.name"), &one.name, errors);
                let sets = sets.iter().map(String::as_str);
                runyard_domain::dataset::check_sets(&format!("{path}.sets"), sets, errors);
            }
        }
        _ => {}
    }
}

/// Ids that something else on this server has: they cannot be kept.
async fn elsewhere(
    engine: &Engine,
    page: &Page,
    place: Place,
    target: Option<CorpusId>,
    errors: &mut FieldErrors,
) -> Result<()> {
    let mut taken: Vec<String> = Vec::new();
    match page {
        Page::Elements(all) => {
            let ids: Vec<ElementId> = all.iter().map(|(one, _)| one.id).collect();
            let known = engine.db.read(move |tx| Ok::<_, Error>(store::element::by_ids(tx, &ids)?)).await?;
            let others = known.values().filter(|one| Some(one.corpus_id) != target);
            taken.extend(others.map(|one| format!("element.{}", one.id)));
        }
        Page::WorkerRuns(all) => {
            for id in all.iter().map(|one| one.id) {
                let known = engine.db.read(move |tx| Ok::<_, Error>(store::worker_run::get(tx, id)?)).await?;
                if known.is_some_and(|one| one.project_id != place.project) {
                    taken.push(format!("worker_run.{id}"));
                }
            }
        }
        Page::Datasets(all) => {
            for (one, _) in all {
                let (id, name) = (one.id, one.name.clone());
                let (known, namesake) = engine
                    .db
                    .read(move |tx| {
                        let namesake =
                            target.map(|corpus| store::dataset::by_name(tx, corpus, &name)).transpose()?;
                        Ok::<_, Error>((store::dataset::get(tx, id)?, namesake.flatten()))
                    })
                    .await?;
                if known.is_some_and(|one| Some(one.corpus_id) != target) {
                    taken.push(format!("dataset.{id}"));
                } else if namesake.is_some_and(|one| one.id != id) {
                    errors.add(
                        format!("dataset.{id}.name"),
                        format!("the corpus has another dataset `{}`", one.name),
                    );
                }
            }
        }
        _ => {}
    }
    for path in taken.into_iter().take(NAMED) {
        errors.add(
            path,
            "this server has it already, in another corpus: import into that one, or delete that one",
        );
    }
    Ok(())
}

async fn write(engine: &Engine, mut export: Export, place: Place) -> Result<i64> {
    let mut elements = 0;
    for table in Table::ALL {
        let mut after = i64::MIN;
        loop {
            let (back, page) = read(export, table, place, after).await?;
            export = back;
            let Some((page, last)) = page else { break };
            if let Page::Elements(all) = &page {
                elements += all.len() as i64;
            }
            let (page, ids) = (Arc::new(page), engine.series());
            engine
                .db
                .write(move |tx| {
                    // A corpus that was deleted meanwhile gets nothing more.
                    store::corpus::hold(tx, place.corpus)?
                        .ok_or_else(|| Error::not_found("corpus", place.corpus))?;
                    Ok::<_, Error>(page.write(tx, place, &mut ids.clone())?)
                })
                .await?;
            after = last;
        }
    }
    Ok(elements)
}

type Read = (Export, Option<(Page, i64)>);

async fn read(export: Export, table: Table, place: Place, after: i64) -> Result<Read> {
    blocking(move || {
        let page = export.page(table, place, after)?;
        Ok((export, page))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
