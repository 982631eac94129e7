//! A training that publishes what it made, step by step or in one call. What is wrong in the order of the steps is an error;
//! read-only, every step warns and writes nothing.

use std::path::Path;

use runyard_wire::model::{ModelVersion, PatchModelVersion};
use serde_json::{Map, Value};

use crate::{Environment, Error, patience::Patience, publish};

mod begun;

use begun::{Begun, NOT_KNOWN, client};

/// What is said of a version besides its files. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// Tag, unique in the model.
    pub tag: Option<String>,
    /// Take the tag from the version that has it.
    pub move_tag: bool,
    /// For people.
    pub description: Option<String>,
    /// What a program that uses it should know.
    pub config: Option<Map<String, Value>>,
    /// The version that it is made from: an id, or a tag of the same model.
    pub parent: Option<String>,
}

impl Attributes {
    fn are_given(&self) -> bool {
        let Self { tag, move_tag: _, description, config, parent } = self;
        tag.is_some() || description.is_some() || config.is_some() || parent.is_some()
    }

    fn over(&self, below: &Self) -> Self {
        Self {
            tag: self.tag.clone().or_else(|| below.tag.clone()),
            move_tag: if self.tag.is_some() { self.move_tag } else { below.move_tag },
            description: self.description.clone().or_else(|| below.description.clone()),
            config: self.config.clone().or_else(|| below.config.clone()),
            parent: self.parent.clone().or_else(|| below.parent.clone()),
        }
    }
}

/// The one model version that a training makes.
///
/// ```no_run
/// # async fn example() -> Result<(), runyard_sdk::Error> {
/// use runyard_sdk::{Attributes, Environment, Training};
///
/// let mut training = Training::new(Environment::of_job());
/// let attributes = Attributes { tag: Some("v3".into()), ..Attributes::default() };
/// training.publish_model_version("output/model".as_ref(), "digits", &attributes).await?;
/// # Ok(())
/// # }
/// ```
pub struct Training {
    environment: Environment,
    begun: Option<Begun>,
}

impl Training {
    /// A training in this environment. Outside of a job it is read-only.
    pub fn new(environment: Environment) -> Self {
        Self { environment, begun: None }
    }

    /// Whether nothing is written: outside of a job, or because it was asked for.
    pub fn is_read_only(&self) -> bool {
        let Environment { url, token, run_id, read_only, .. } = &self.environment;
        *read_only || url.is_none() || token.is_none() || run_id.is_none()
    }

    /// Whether the training starts from a model version.
    pub fn is_finetuning(&self) -> bool {
        self.environment.model_version.is_some()
    }

    /// The version of this training, once there is one.
    pub fn model_version(&self) -> Option<&ModelVersion> {
        self.begun.as_ref().map(|begun| &begun.version)
    }

    /// Begins a version of the model (by name or id; made when no model has the name). Only one per training.
    pub async fn create_model_version(&mut self, model: &str, attributes: &Attributes) -> Result<(), Error> {
        if self.skips("create_model_version") {
            return Ok(());
        }
        if let Some(begun) = &self.begun {
            return Err(Error::Order(format!("{} was begun already: a training has one", begun.title())));
        }
        self.begin(model, attributes, NOT_KNOWN).await
    }

    /// Changes what is said of the version; what is absent stays. An available version keeps its parent.
    pub async fn update_model_version(&mut self, attributes: &Attributes) -> Result<(), Error> {
        if self.skips("update_model_version") {
            return Ok(());
        }
        let begun = self.begun.as_mut().ok_or_else(|| missing("updated"))?;
        let all = attributes.over(&begun.attributes);
        if !begun.is_available() {
            let (model, size) = (begun.model.clone(), begun.size);
            return self.begin(&model, &all, size).await;
        }
        if attributes.parent.is_some() && attributes.parent != begun.attributes.parent {
            let title = begun.title();
            return Err(Error::Order(format!("{title} is available: it keeps its parent, which is history")));
        }
        let patch = PatchModelVersion {
            tag: attributes.tag.clone(),
            move_tag: attributes.move_tag,
            description: attributes.description.clone(),
            config: attributes.config.clone(),
        };
        let mut patience = Patience::of_job();
        begun.version = loop {
            match client(&self.environment)?.patch_model_version(begun.id(), &patch).await {
                Ok(version) => break version,
                Err(error) => patience.meet(error.into()).await?,
            }
        };
        begun.attributes = all;
        Ok(())
    }

    /// Packs a folder or file and sends it to the object store. Nobody can use it before it is validated.
    pub async fn upload(&mut self, path: &Path) -> Result<(), Error> {
        if self.skips("upload") {
            return Ok(());
        }
        let begun = self.begun.as_ref().ok_or_else(|| missing("uploaded"))?;
        if begun.is_available() {
            return Err(Error::Order(format!("{} is available: its content never changes", begun.title())));
        }
        let survey = publish::survey(path).await?;
        self.send(&survey).await
    }

    /// Says that all was uploaded: the server reads it, and makes the version available if it is what was sent. When the
    /// model has a version with this content, that one is the version of this training from here on.
    pub async fn validate_model_version(&mut self) -> Result<(), Error> {
        if self.skips("validate_model_version") {
            return Ok(());
        }
        let begun = self.begun.as_mut().ok_or_else(|| missing("validated"))?;
        let Some(complete) = &begun.uploaded else {
            return Err(Error::Order(format!(
                "{} has no files: upload them before validating",
                begun.title()
            )));
        };
        let mut patience = Patience::of_job();
        let done = loop {
            match client(&self.environment)?.complete_model_version(begun.id(), complete).await {
                Ok(done) => break done,
                Err(error) => patience.meet(error.into()).await?,
            }
        };
        begun.take(done);
        Ok(())
    }

    /// All steps in one: creates the version or updates the one that was begun, uploads, validates. When the model has a
    /// version with this content, that one is given these attributes instead, and nothing is sent where that is known before.
    pub async fn publish_model_version(
        &mut self,
        path: &Path,
        model: &str,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        if self.skips("publish_model_version") {
            return Ok(());
        }
        let before = match &self.begun {
            None => {
                self.publish(path, model, attributes).await?;
                None
            }
            Some(begun) => {
                begun.check_model(model)?;
                if attributes.are_given() {
                    self.update_model_version(attributes).await?;
                }
                self.upload(path).await?;
                let before = self.begun.as_ref().map(|begun| begun.id().to_owned());
                self.validate_model_version().await?;
                before
            }
        };
        let found =
            self.begun.as_ref().is_some_and(|begun| before.is_none_or(|id| begun.id() != id) && begun.found);
        if found && attributes.are_given() {
            tracing::warn!("the model has a version with this content: it is given the new attributes");
            let own = Attributes { parent: None, ..attributes.clone() };
            self.update_model_version(&own).await?;
        }
        Ok(())
    }
}

fn missing(what: &str) -> Error {
    Error::Order(format!("there is no model version yet that could be {what}: create one first"))
}
