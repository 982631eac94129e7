//! The version that a training has begun, and the steps that send something. Each may be repeated after trouble.

use std::{path::Path, sync::Arc};

use runyard_archive::model::Survey;
use runyard_client::Client;
use runyard_wire::model::{BegunModelVersion, CompleteModelVersion, ModelVersion, NewModelVersion};

use super::{Attributes, Training};
use crate::{
    Environment, Error,
    patience::Patience,
    publish::{self, Publish},
};

/// A version that was begun.
pub(super) struct Begun {
    /// As it was named.
    pub(super) model: String,
    /// What was said of it so far.
    pub(super) attributes: Attributes,
    /// What it was begun with: a repeat answers the parts that have arrived.
    pub(super) new: NewModelVersion,
    pub(super) version: ModelVersion,
    pub(super) uploaded: Option<CompleteModelVersion>,
    /// It was there before: another publish has made it.
    pub(super) found: bool,
}

impl Begun {
    pub(super) fn id(&self) -> &str {
        self.version.id.as_deref().unwrap_or_default()
    }

    /// For people.
    pub(super) fn title(&self) -> String {
        format!("model version {}", self.id())
    }

    pub(super) fn is_available(&self) -> bool {
        self.version.state.as_deref() == Some("available")
    }

    /// From here on, the version is what the server answered.
    pub(super) fn take(&mut self, done: BegunModelVersion) {
        self.found |= done.existing && done.version.id != self.version.id;
        self.version = done.version;
    }

    /// Whether the version is one of this model.
    pub(super) fn check_model(&self, model: &str) -> Result<(), Error> {
        let Self { version, .. } = self;
        let names = [Some(self.model.as_str()), version.model.as_deref(), version.model_id.as_deref()];
        if names.contains(&Some(model)) {
            return Ok(());
        }
        let own = version.model.as_deref().unwrap_or(&self.model);
        Err(Error::Order(format!("{} is of the model `{own}`, not of `{model}`", self.title())))
    }
}

/// A client for one call: the server may have moved since the last one.
pub(super) fn client(environment: &Environment) -> Result<Client, Error> {
    environment.client().ok_or_else(|| Error::Order("outside of a job nothing can be published".to_owned()))
}

impl Training {
    /// Whether a step is skipped; says so.
    pub(super) fn skips(&self, step: &str) -> bool {
        let skips = self.is_read_only();
        if skips {
            tracing::warn!(step, "this step is skipped: the training is read-only, and writes nothing");
        }
        skips
    }

    /// Begins a version for files of this size and number, which may not be known yet.
    pub(super) async fn begin(
        &mut self,
        model: &str,
        attributes: &Attributes,
        (size, files): (i64, i64),
    ) -> Result<(), Error> {
        let publish = self.request(Path::new(""), model, attributes);
        let mut patience = Patience::of_job();
        let (begun, new) = loop {
            match attempt(&client(&self.environment)?, &publish, (size, files)).await {
                Ok(done) => break done,
                Err(error) => patience.meet(error).await?,
            }
        };
        self.keep(model, attributes, new, begun);
        Ok(())
    }

    /// Sends the files. After trouble, what has arrived is not sent again.
    pub(super) async fn send(&mut self, survey: &Arc<Survey>) -> Result<(), Error> {
        let Some(begun) = &mut self.begun else { return Ok(()) };
        let mut patience = Patience::of_job();
        begun.uploaded = loop {
            let client = client(&self.environment)?;
            let again = async {
                let model = begun.version.model_id.as_deref().unwrap_or(&begun.model);
                let known = client.begin_model_version(model, None, &begun.new).await?;
                publish::send(&client, &known, survey, &|_| {}).await
            };
            match again.await {
                Ok(sent) => break Some(sent),
                Err(error) => patience.meet(error).await?,
            }
        };
        Ok(())
    }

    /// Everything in one, for a version that was not begun yet.
    pub(super) async fn publish(
        &mut self,
        path: &Path,
        model: &str,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let request = self.request(path, model, attributes);
        let mut patience = Patience::of_job();
        let done = loop {
            match publish::publish(&client(&self.environment)?, &request, &|_| {}).await {
                Ok(done) => break done,
                Err(error) => patience.meet(error).await?,
            }
        };
        self.keep(model, attributes, NewModelVersion::default(), done);
        Ok(())
    }

    fn keep(&mut self, model: &str, attributes: &Attributes, new: NewModelVersion, begun: BegunModelVersion) {
        self.begun = Some(Begun {
            model: model.to_owned(),
            attributes: attributes.clone(),
            new,
            found: begun.existing,
            version: begun.version,
            uploaded: None,
        });
    }

    /// A request with a key of its own: every version that is begun is another one.
    fn request(&mut self, path: &Path, model: &str, attributes: &Attributes) -> Publish {
        self.count += 1;
        let Environment { run_id, job_id, .. } = &self.environment;
        let who = job_id.as_ref().or(run_id.as_ref());
        Publish {
            path: path.to_owned(),
            model: model.to_owned(),
            project: None,
            tag: attributes.tag.clone(),
            move_tag: attributes.move_tag,
            description: attributes.description.clone().unwrap_or_default(),
            config: attributes.config.clone().unwrap_or_default(),
            parent: attributes.parent.clone(),
            run_id: run_id.clone(),
            job_id: job_id.clone(),
            source_key: who.map(|id| format!("{id}:training:{}", self.count)),
        }
    }
}

async fn attempt(
    client: &Client,
    publish: &Publish,
    (size, files): (i64, i64),
) -> Result<(BegunModelVersion, NewModelVersion), Error> {
    let model = publish::find_or_make(client, publish).await?;
    let new = NewModelVersion { size, files, ..publish::request(publish) };
    Ok((client.begin_model_version(&model, None, &new).await?, new))
}
