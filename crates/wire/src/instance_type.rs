//! Instance types.

use runyard_domain::resources::Resources;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::run::ResourcesSchema;

/// Resources under a name, which a run asks for with `spec.instance_type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceType {
    /// Its name.
    pub name: String,
    /// What each instance of it has.
    #[schema(value_type = ResourcesSchema)]
    pub resources: Resources,
    /// Which executor runs it, where the run names none.
    pub executor: String,
    /// Why not even one instance could ever start here; absent: it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}
