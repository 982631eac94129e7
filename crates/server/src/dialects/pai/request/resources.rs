//! What a job asks of machines: an instance type that this server has, or numbers. A type that it does not have is recorded,
//! so that a script that names a machine of the cloud runs here too, and a warning says that it was given something else.

use runyard_domain::{
    FieldErrors,
    resources::{Gpu, Resources},
    run::recorded::Recorded,
};
use serde_json::{Value, json};

use super::body::{ComputeResource, InstanceSpec, Text};

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) instances: Option<i64>,
    pub(super) instance_type: Option<String>,
    pub(super) resources: Option<Resources>,
}

pub(super) fn read(
    sent: &ComputeResource,
    types: &[String],
    recorded: &mut Recorded,
    errors: &mut FieldErrors,
) -> Asked {
    let mut asked = Asked {
        // One is what everybody sends, and means nothing more than a run.
        instances: sent.ecs_count.or(sent.instance_count).map(|count| count.0).filter(|count| *count != 1),
        ..Asked::default()
    };
    if let Some(name) = sent.ecs_spec.as_ref().filter(|name| !name.is_empty()) {
        if types.contains(name) {
            asked.instance_type = Some(name.clone());
        } else {
            recorded.insert("instance_type".to_owned(), json!(name));
        }
    }
    if let Some(spec) = &sent.instance_spec {
        asked.resources = numbers(spec, errors);
    }
    for (word, value) in [("spot", &sent.spot_spec), ("resource_id", &sent.resource_id)] {
        let is_said = !matches!(value, Value::Null) && *value != json!({}) && *value != json!("");
        if is_said {
            recorded.insert(word.to_owned(), value.clone());
        }
    }
    if sent.use_spot_instance == Some(true) {
        recorded.entry("spot".to_owned()).or_insert(json!(true));
    }
    asked
}

/// Numbers without a unit are GiB, as on PAI.
fn numbers(sent: &InstanceSpec, errors: &mut FieldErrors) -> Option<Resources> {
    const PATH: &str = "ComputeResource.InstanceSpec";
    let said = |text: &Option<Text>| {
        text.as_ref().map(|text| text.0.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let with_unit = |text: String| {
        let is_bare = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_bare { text + "Gi" } else { text }
    };
    let gpu = match said(&sent.gpu).map(|count| (count.parse::<i64>(), count)) {
        None | Some((Ok(0), _)) => None,
        Some((Ok(count), _)) => {
            Some(Gpu { count, kind: said(&sent.gpu_type).unwrap_or_else(|| "any".to_owned()) })
        }
        Some((Err(_), text)) => {
            errors.add(format!("{PATH}.GPU"), format!("`{text}` is not a whole number"));
            None
        }
    };
    let resources = Resources {
        cpu: said(&sent.cpu).unwrap_or_default(),
        memory: said(&sent.memory).map(with_unit),
        shared_memory: said(&sent.shared_memory).map(with_unit),
        gpu,
        ..Resources::default()
    };
    let is_empty = resources.cpu.is_empty() && resources.memory.is_none() && resources.gpu.is_none();
    (!is_empty || resources.shared_memory.is_some()).then_some(resources)
}
