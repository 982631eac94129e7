//! The version that a training has begun, and the steps that send something. Each may be repeated after trouble.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use runyard_archive::model::Survey;
use runyard_client::Client;
use runyard_wire::model::{BegunModelVersion, CompleteModelVersion, ModelVersion, NewModelVersion};

use super::{Attributes, Training};
use crate::{
    Environment, Error,
    patience::Patience,
    publish::{self, Publish},
};

/// Bytes and number of files that nobody has looked at yet: there is one at least.
pub(super) const NOT_KNOWN: (i64, i64) = (0, 1);

/// A version that was begun.
pub(super) struct Begun {
    /// As it was named.
    pub(super) model: String,
    /// What was said of it so far.
    pub(super) attributes: Attributes,
    /// Bytes and number of its files, as far as they are known.
    pub(super) size: (i64, i64),
    /// Tells it from all others: by this, a repeated step finds it again.
    key: String,
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

    /// Begins the version, or begins it again with other attributes or for other files.
    pub(super) async fn begin(
        &mut self,
        model: &str,
        attributes: &Attributes,
        size: (i64, i64),
    ) -> Result<(), Error> {
        let request = self.request(Path::new(""), model, attributes);
        let mut patience = Patience::of_job();
        let begun = loop {
            match attempt(&client(&self.environment)?, &request, size).await {
                Ok(begun) => break begun,
                Err(error) => patience.meet(error).await?,
            }
        };
        // Files of another size are other files.
        let uploaded =
            self.begun.take().filter(|before| before.size == size).and_then(|before| before.uploaded);
        self.keep(request, attributes, size, begun);
        if let Some(begun) = &mut self.begun {
            begun.uploaded = uploaded;
        }
        Ok(())
    }

    /// Sends the files. After trouble, what has arrived is not sent again.
    pub(super) async fn send(&mut self, survey: &Arc<Survey>) -> Result<(), Error> {
        let Some((model, attributes)) = self.begun.as_ref().map(|b| (b.model.clone(), b.attributes.clone()))
        else {
            return Ok(());
        };
        let request = self.request(Path::new(""), &model, &attributes);
        let size = (survey.size.cast_signed(), survey.files.cast_signed());
        let mut patience = Patience::of_job();
        let (begun, sent) = loop {
            let again = async {
                let client = client(&self.environment)?;
                let begun = attempt(&client, &request, size).await?;
                let sent = publish::send(&client, &begun, survey, &|_| {}).await?;
                Ok((begun, sent))
            };
            match again.await {
                Ok(done) => break done,
                Err(error) => patience.meet(error).await?,
            }
        };
        self.keep(request, &attributes, size, begun);
        if let Some(begun) = &mut self.begun {
            begun.uploaded = Some(sent);
        }
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
        self.keep(request, attributes, NOT_KNOWN, done);
        Ok(())
    }

    fn keep(
        &mut self,
        request: Publish,
        attributes: &Attributes,
        size: (i64, i64),
        begun: BegunModelVersion,
    ) {
        self.begun = Some(Begun {
            model: request.model,
            attributes: attributes.clone(),
            size,
            key: request.source_key.unwrap_or_default(),
            found: begun.existing,
            version: begun.version,
            uploaded: None,
        });
    }

    fn request(&self, path: &Path, model: &str, attributes: &Attributes) -> Publish {
        let Environment { run_id, job_id, .. } = &self.environment;
        let attributes = attributes.clone();
        let key = self.begun.as_ref().map_or_else(|| new_key(&self.environment), |begun| begun.key.clone());
        Publish {
            path: path.to_owned(),
            model: model.to_owned(),
            project: None,
            tag: attributes.tag,
            move_tag: attributes.move_tag,
            description: attributes.description.unwrap_or_default(),
            config: attributes.config.unwrap_or_default(),
            parent: attributes.parent,
            run_id: run_id.clone(),
            job_id: job_id.clone(),
            source_key: Some(key),
        }
    }
}

/// A key that no other version of this job has, from whichever of its processes.
fn new_key(environment: &Environment) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Environment { run_id, job_id, .. } = environment;
    let who = job_id.as_ref().or(run_id.as_ref()).map_or("", String::as_str);
    format!("{who}:training:{}:{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn attempt(
    client: &Client,
    request: &Publish,
    (size, files): (i64, i64),
) -> Result<BegunModelVersion, Error> {
    let model = publish::find_or_make(client, request).await?;
    let new = NewModelVersion { size, files, ..publish::request(request) };
    Ok(client.begin_model_version(&model, None, &new).await?)
}
