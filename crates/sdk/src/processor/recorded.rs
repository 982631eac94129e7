//! What PAI's `Processor` can be told and nothing here can honour: it is recorded, by word, and the run warns of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Processor;

/// What several instances find in their variables anyway.
const HONOURED: &str = "PyTorchJob";

/// Machines that may be taken away, for less money.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpotSpec {
    /// `SpotWithPriceLimit` or `SpotAsPriceGo`.
    pub spot_strategy: String,
    /// The part of the full price that is paid at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_discount_limit: Option<f64>,
}

impl Default for SpotSpec {
    /// At whatever price.
    fn default() -> Self {
        Self { spot_strategy: "SpotAsPriceGo".to_owned(), spot_discount_limit: None }
    }
}

/// A private network of a cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UserVpcConfig {
    /// The network.
    pub vpc_id: String,
    /// Its rules.
    pub security_group_id: String,
    /// A part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_id: Option<String>,
    /// More addresses that are reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended_cidrs: Vec<String>,
}

/// An experiment that the job belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExperimentConfig {
    /// Its id.
    pub experiment_id: String,
}

/// All of it, by word.
pub(super) fn of(job: &Processor) -> BTreeMap<String, Value> {
    let mut all = job.recorded.clone();
    let mut add = |word: &str, value: Option<Value>| {
        if let Some(value) = value {
            all.insert(word.to_owned(), value);
        }
    };
    add("spot", job.spot_spec.as_ref().map(json));
    add("resource_type", job.resource_type.as_ref().map(json));
    add("vpc", job.user_vpc_config.as_ref().map(json));
    add("experiment", job.experiment_config.as_ref().map(json));
    add("settings", (!job.settings.is_empty()).then(|| Value::Object(job.settings.clone())));
    add("job_type", job.job_type.as_ref().filter(|kind| *kind != HONOURED).map(json));
    all
}

fn json(value: &impl Serialize) -> Value {
    // Texts, numbers and lists of them: all of it can be JSON.
    serde_json::to_value(value).unwrap_or_default()
}
