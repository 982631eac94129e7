//! Brings a description to the server. Everything has an id, so each step may be repeated: a second import completes the first.

use runyard_client::{element::HowMade, model::ModelFilter};
use runyard_domain::worker_run::Selection;
use runyard_wire::{
    corpus::{Corpus, NewCorpus},
    dataset::{AddElements, NewDataset},
    element::PostElements,
    model::NewModel,
    worker_run::NewWorkerRun,
};

use super::{
    Imported,
    description::{Description, Element, Model},
};
use crate::{address, context::Context, failure::Failure};

/// Elements of one request.
const BATCH: usize = 2_000;
/// What is said of everything that the server refuses on the way.
const HINT: &str = "what came before is there: mend this, and the same import again completes it";

pub(super) async fn bring(context: &Context, all: Description, name: &str) -> Result<Imported, Failure> {
    let refused = |error: runyard_client::Error| Failure::from(error).hint(HINT);
    let corpus = corpus(context, &all, name).await?;
    for model in all.models {
        bring_model(context, model, &corpus).await?;
    }
    for run in all.worker_runs {
        let run = NewWorkerRun {
            corpus: Some(corpus.id.clone()),
            project_id: Some(corpus.project_id.clone()),
            ..run
        };
        context.client.create_worker_run(&run).await.map_err(refused)?;
    }
    let elements = all.elements.len() as i64;
    let mut rest = all.elements.into_iter().peekable();
    while let Some(first) = rest.next() {
        // A request is of one maker; parents stand before their children, so the order must stay.
        let maker = first.worker_run_id.clone();
        let mut batch = vec![first.element];
        while batch.len() < BATCH
            && let Some(Element { element, .. }) = rest.next_if(|one| one.worker_run_id == maker)
        {
            batch.push(element);
        }
        let how = HowMade { corpus_id: corpus.id.clone(), worker_run_id: maker, create_types: true };
        context.client.create_elements(&how, &PostElements { elements: batch }).await.map_err(refused)?;
    }
    for dataset in all.datasets {
        let new = NewDataset {
            id: Some(dataset.id),
            corpus: corpus.id.clone(),
            name: dataset.name,
            description: dataset.description,
            sets: Some(dataset.sets.iter().map(|set| set.name.clone()).collect()),
        };
        let made = context.client.create_dataset(&new).await.map_err(refused)?;
        for set in dataset.sets {
            for some in set.elements.chunks(BATCH) {
                let ids = some.iter().filter_map(|id| id.parse().ok()).collect();
                let selection = Selection { elements: ids, ..Selection::default() };
                let add = AddElements { set: set.name.clone(), selection };
                context.client.add_dataset_elements(&made.id, &add).await.map_err(refused)?;
            }
        }
    }
    Ok(Imported { corpus, elements })
}

/// The corpus with this name; it is made with the description's id when there is none.
async fn corpus(context: &Context, all: &Description, name: &str) -> Result<Corpus, Failure> {
    let filter = runyard_client::corpus::Filter {
        project_id: context.project.iter().cloned().collect(),
        name: vec![name.to_owned()],
        limit: Some(1),
        ..runyard_client::corpus::Filter::default()
    };
    let there = context.client.corpora(&filter).await?.into_iter().next();
    if let Some(there) = there {
        let same = all.corpus.id.as_ref().is_none_or(|id| *id == there.id);
        if same {
            return address::corpus::corpus(context, &there.id).await;
        }
        return Err(Failure::usage(format!("the corpus {name} is there already, with the id {}", there.id))
            .hint("choose another name with --corpus, or take the corpus's id out of the description"));
    }
    let new = NewCorpus {
        id: all.corpus.id.clone(),
        project_id: context.project.clone(),
        name: name.to_owned(),
        description: all.corpus.description.clone(),
        types: all.corpus.types.clone(),
    };
    Ok(context.client.create_corpus(&new).await?)
}

async fn bring_model(context: &Context, model: Model, corpus: &Corpus) -> Result<(), Failure> {
    let filter = ModelFilter {
        project_id: vec![corpus.project_id.clone()],
        name: vec![model.name.clone()],
        limit: Some(1),
        ..ModelFilter::default()
    };
    if let Some(there) = context.client.models(&filter).await?.into_iter().next() {
        if there.id == model.id {
            return Ok(());
        }
        return Err(Failure::new(format!(
            "there is a model {} already, with the id {}",
            model.name, there.id
        ))
        .hint(format!("rename or delete it; {HINT}")));
    }
    let new = NewModel {
        id: Some(model.id),
        name: model.name,
        project_id: Some(corpus.project_id.clone()),
        description: model.description,
    };
    context.client.create_model(&new).await.map_err(|error| Failure::from(error).hint(HINT))?;
    Ok(())
}
