//! Corpora, datasets, elements and worker runs by what a person writes.

use runyard_client::{corpus, dataset, element};
use runyard_domain::{CorpusId, DatasetId, ElementId, WorkerRunId};
use runyard_wire::{corpus::Corpus, dataset::Dataset, worker_run::WorkerRun};

use super::run;
use crate::{context::Context, failure::Failure};

/// The corpus with this id or name.
pub(crate) async fn corpus(context: &Context, text: &str) -> Result<Corpus, Failure> {
    if let Ok(id) = text.parse::<CorpusId>() {
        return Ok(context.client.corpus(&id.to_string()).await?);
    }
    let filter = corpus::Filter {
        project_id: context.project.iter().cloned().collect(),
        name: vec![text.to_owned()],
        limit: Some(2),
        ..corpus::Filter::default()
    };
    let mut found = context.client.corpora(&filter).await?;
    match found.len() {
        0 => Err(Failure::new(format!("there is no corpus `{text}`")).hint(format!(
            "`runyard corpus ls` lists those that are there, `runyard corpus create {text}` makes it"
        ))),
        1 => Ok(found.remove(0)),
        _ => Err(Failure::new(format!("several projects have a corpus `{text}`"))
            .hint("name the project with --project, or give the corpus's id")),
    }
}

/// The dataset with this id, or with this name in the corpus, or in any.
pub(crate) async fn dataset(context: &Context, text: &str, corpus: Option<&str>) -> Result<Dataset, Failure> {
    if let Ok(id) = text.parse::<DatasetId>() {
        return Ok(context.client.dataset(&id.to_string()).await?);
    }
    let corpus_id = match corpus {
        Some(corpus) => vec![self::corpus(context, corpus).await?.id],
        None => Vec::new(),
    };
    let filter = dataset::Filter {
        corpus_id,
        name: vec![text.to_owned()],
        limit: Some(2),
        ..dataset::Filter::default()
    };
    let mut found = context.client.datasets(&filter).await?;
    match found.len() {
        0 => Err(Failure::new(format!("there is no dataset `{text}`"))
            .hint("`runyard dataset ls` lists those that are there")),
        1 => Ok(found.remove(0)),
        _ => Err(Failure::new(format!("several corpora have a dataset `{text}`"))
            .hint("name the corpus with --corpus, or give the dataset's id")),
    }
}

/// The id of the element of a corpus with this id or name.
pub(crate) async fn element(context: &Context, corpus: &str, text: &str) -> Result<ElementId, Failure> {
    if let Ok(id) = text.parse::<ElementId>() {
        return Ok(id);
    }
    let filter =
        element::Filter { name: vec![text.to_owned()], limit: Some(2), ..element::Filter::default() };
    let found = context.client.elements(corpus, &filter).await?;
    match found.as_slice() {
        [] => Err(Failure::new(format!("there is no element `{text}` in the corpus"))),
        [one] => one.id.parse().map_err(|error| Failure::new(format!("{error}"))),
        _ => Err(Failure::new(format!("several elements have the name `{text}`"))
            .hint("give the id of one; `runyard element ls --name` lists them")),
    }
}

/// The worker run with this id, or that of the run that `text` means.
pub(crate) async fn worker_run(context: &Context, text: &str, newest: bool) -> Result<WorkerRun, Failure> {
    let id = match text.parse::<WorkerRunId>() {
        Ok(id) => id.to_string(),
        Err(_) => run(context, text, newest).await?,
    };
    context.client.worker_run(&id).await.map_err(|error| match error.status() {
        Some(404) => Failure::from(error)
            .hint("`runyard worker ls` lists worker runs; a run of another kind works through no elements"),
        _ => error.into(),
    })
}
