//! Instance types as this server has them. Reads nothing and keeps nothing: they are given when the server starts.

pub use runyard_domain::instance_type::InstanceType;
use runyard_executors::Executor;

use crate::{Actor, Engine};

/// An instance type, and whether it can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The type.
    pub instance_type: InstanceType,
    /// Which executor runs it, where the run names none.
    pub executor: String,
    /// Why not even one instance could ever start here.
    pub unavailable: Option<String>,
}

/// All types, by name. Any token may ask.
pub fn list(engine: &Engine, _actor: &Actor) -> Vec<Offer> {
    let default = engine.executors.first().map_or("local", |executor| executor.name());
    let offer = |own: &InstanceType| {
        let name = own.executor.as_deref().unwrap_or(default);
        let executor = engine.executors.iter().find(|executor| executor.name() == name);
        let unavailable = match executor {
            None => Some(format!("there is no executor `{name}` here")),
            Some(executor) => refusal(executor.as_ref(), own),
        };
        Offer { instance_type: own.clone(), executor: name.to_owned(), unavailable }
    };
    engine.options.instance_types.iter().map(offer).collect()
}

fn refusal(executor: &dyn Executor, own: &InstanceType) -> Option<String> {
    match own.resources.demand() {
        Ok(demand) => executor.check(&demand, &own.resources).err(),
        Err(errors) => Some(errors.to_string()),
    }
}

/// The type with this name, or a sentence with those that there are.
pub(crate) fn find<'a>(types: &'a [InstanceType], name: &str) -> Result<&'a InstanceType, String> {
    types.iter().find(|known| known.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let known: Vec<&str> = types.iter().map(|known| known.name.as_str()).take(50).collect();
        format!("there is no instance type `{shown}` here; there is {}", known.join(", "))
    })
}
