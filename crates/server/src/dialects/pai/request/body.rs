//! The body of `CreateTrainingJob`, as much of it as means something here. What is null is as if it were not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Body {
    pub(super) algorithm_spec: Option<AlgorithmSpec>,
    pub(super) code_dir: Option<CodeDir>,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) compute_resource: ComputeResource,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) environments: BTreeMap<String, String>,
    pub(super) experiment_config: Value,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) hyper_parameters: Vec<Named>,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) input_channels: Vec<Channel>,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) labels: Vec<Label>,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) output_channels: Vec<Channel>,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) python_requirements: Vec<String>,
    pub(super) role_arn: Value,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) scheduler: Scheduler,
    pub(super) settings: Value,
    pub(super) training_job_description: Option<String>,
    pub(super) training_job_name: Option<String>,
    pub(super) user_vpc: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AlgorithmSpec {
    #[serde(deserialize_with = "or_nothing")]
    pub(super) command: Vec<String>,
    pub(super) image: Option<String>,
    pub(super) code_dir: Option<CodeDir>,
    pub(super) customization: Value,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) metric_definitions: Vec<Definition>,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) output_channels: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CodeDir {
    pub(super) location_type: Option<String>,
    pub(super) location_value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) regex: String,
    pub(super) description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) input_uri: Option<String>,
    pub(super) output_uri: Option<String>,
    pub(super) dataset_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in super::super) struct Label {
    pub(in super::super) key: String,
    pub(in super::super) value: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ComputeResource {
    pub(super) ecs_count: Option<Whole>,
    pub(super) ecs_spec: Option<String>,
    pub(super) instance_count: Option<Whole>,
    pub(super) instance_spec: Option<InstanceSpec>,
    pub(super) resource_id: Value,
    pub(super) spot_spec: Value,
    pub(super) use_spot_instance: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InstanceSpec {
    #[serde(rename = "CPU")]
    pub(super) cpu: Option<Text>,
    #[serde(rename = "GPU")]
    pub(super) gpu: Option<Text>,
    #[serde(rename = "GPUType")]
    pub(super) gpu_type: Option<Text>,
    #[serde(rename = "Memory")]
    pub(super) memory: Option<Text>,
    #[serde(rename = "SharedMemory")]
    pub(super) shared_memory: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Scheduler {
    pub(super) max_running_time_in_seconds: Option<Whole>,
}

/// A text, or a number or truth that clients without types send in its place.
#[derive(Debug, Clone)]
pub(in super::super) struct Text(pub(in super::super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Self(text)),
            scalar @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(scalar.to_string())),
            _ => Err(serde::de::Error::custom("must be a text")),
        }
    }
}

/// A whole number, which may be written as a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole(pub(super) i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(from)?;
        text.trim().parse().map(Self).map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!("`{shown}` is not a whole number"))
        })
    }
}

fn or_nothing<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
