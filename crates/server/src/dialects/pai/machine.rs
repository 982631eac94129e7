//! What there is to run jobs on and with: instance types as ECS specs; images and algorithms, of which this server keeps no list.

use axum::extract::State;
use runyard_domain::{instance_type::InstanceType, quantity::Quantity};
use runyard_engine as engine;
use serde_json::{Value, json};

use super::{Answer, Asked, query::Parameters};
use crate::app::App;

pub(super) async fn specs(State(app): State<App>, asked: Asked, parameters: Parameters) -> Answer {
    let page = parameters.page()?;
    let wanted = parameters.text("AcceleratorType");
    let offers = engine::instance_type::list(&app.engine, &asked.actor);
    let all: Vec<Value> = offers
        .iter()
        .map(|offer| spec(&offer.instance_type, offer.unavailable.is_none()))
        .filter(|spec| wanted.is_none_or(|wanted| spec["AcceleratorType"] == wanted))
        .collect();
    let total = all.len();
    Ok(asked.answer(json!({"EcsSpecs": page.of(all), "TotalCount": total})))
}

/// No prices, because nobody pays; GPUs by their number.
fn spec(own: &InstanceType, available: bool) -> Value {
    let resources = &own.resources;
    let cores = resources.cpu.parse::<Quantity>().map_or(0, Quantity::ceil);
    let memory = resources.memory.as_ref().and_then(|memory| memory.parse::<Quantity>().ok());
    let gpus = resources.gpu.as_ref().map_or(0, |gpu| gpu.count);
    json!({
        "InstanceType": own.name,
        "AcceleratorType": if gpus > 0 { "GPU" } else { "CPU" },
        "Cpu": cores,
        "Memory": memory.map_or(0, |memory| memory.ceil() >> 30),
        "Gpu": gpus,
        "GpuType": resources.gpu.as_ref().map(|gpu| gpu.kind.clone()).unwrap_or_default(),
        "IsAvailable": available,
        "PaymentTypes": [],
    })
}

pub(super) async fn images(asked: Asked) -> Answer {
    Ok(asked.answer(json!({"Images": [], "TotalCount": 0})))
}

pub(super) async fn algorithms(asked: Asked) -> Answer {
    Ok(asked.answer(json!({"Algorithms": [], "TotalCount": 0})))
}

#[cfg(test)]
mod tests {
    use runyard_domain::instance_type::built_in;

    use super::*;

    #[test]
    fn an_instance_type_is_shown_in_cores_and_gibibytes() {
        let types = built_in();
        let named = |name: &str| spec(types.iter().find(|own| own.name == name).unwrap(), true);
        let medium = named("cpu.medium");
        assert_eq!((medium["Cpu"].as_i64(), medium["Memory"].as_i64()), (Some(2), Some(4)));
        assert_eq!(medium["AcceleratorType"], "CPU");
        assert_eq!(named("local_gpu")["AcceleratorType"], "GPU");
    }
}
