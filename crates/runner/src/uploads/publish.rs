//! Publishes what a program names as a version of a model, while it goes on. What a killed runner began, the next one goes
//! on with; what cannot be published is said in the output, and never ends the program.

use std::{
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
};

use runyard_domain::record::Model;
use runyard_sdk::{Error, Progress, Publish};
use runyard_wire::model::BegunModelVersion;

use super::{
    blocking, find,
    insist::{Patience, Stop},
};
use crate::{job::Job, server::Refusal};

/// One version to publish.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) model: Model,
    /// Tells it from the others of this job, whoever reads the records again.
    pub(super) source_key: String,
}

impl Wanted {
    /// For people.
    fn title(&self) -> String {
        let tag = self.model.tag.as_ref().map(|tag| format!("@{tag}")).unwrap_or_default();
        format!("model `{}{tag}` ({})", self.model.name, self.model.path)
    }
}

/// Publishes, or gives it up; answers whether it is published. Only a newer job is an error.
pub(super) async fn bring(job: &Rc<Job>, wanted: &Wanted) -> Result<bool, Refusal> {
    match insist(job, wanted).await {
        Ok(done) => {
            job.output.note(&said(wanted, &done));
            Ok(true)
        }
        Err(Stop::Superseded) => {
            job.supersede();
            Err(Refusal::Superseded)
        }
        Err(Stop::GivenUp(reason)) => {
            job.output.note(&format!("{} is given up: {reason}", wanted.title()));
            Ok(false)
        }
    }
}

async fn insist(job: &Job, wanted: &Wanted) -> Result<BegunModelVersion, Stop> {
    let (ml, named) = (job.folder.ml(), wanted.model.path.clone());
    let (_, path) = blocking(move || find::place(&ml, &named)).await.map_err(Stop::GivenUp)?;
    let Model { name, tag, move_tag, description, config, parent, .. } = wanted.model.clone();
    let publish = Publish {
        path,
        model: name,
        project: None,
        tag,
        move_tag,
        description: description.unwrap_or_default(),
        config: config.unwrap_or_default(),
        parent,
        run_id: Some(job.spec.run_id.to_string()),
        job_id: Some(job.spec.job_id.to_string()),
        source_key: Some(wanted.source_key.clone()),
    };
    let mut server = Patience::new(job, wanted.title());
    let mut store = Patience::with_store(job, wanted.title());
    let moved = AtomicBool::new(false);
    let progress = |progress| {
        if matches!(progress, Progress::Arrived(_)) {
            moved.store(true, Ordering::Relaxed);
        }
    };
    loop {
        let published = runyard_sdk::publish(&server.client(), &publish, &progress).await;
        if moved.swap(false, Ordering::Relaxed) {
            server.well();
            store.well();
        }
        match published {
            Ok(done) => return Ok(done),
            Err(Error::Server(error)) => server.meet(&error).await?,
            Err(Error::Store(error)) => store.meet(&error).await?,
            Err(error) => return Err(Stop::GivenUp(error.to_string())),
        }
    }
}

fn said(wanted: &Wanted, done: &BegunModelVersion) -> String {
    let title = wanted.title();
    let id = done.version.id.as_deref().unwrap_or_default();
    let what = if done.existing { "has the content of version" } else { "is published as version" };
    let note = done.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("{title} {what} {id}{note}")
}
