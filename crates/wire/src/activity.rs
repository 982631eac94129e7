//! Activities: where each element of a worker run stands, and how workers claim, renew, release and commit them.

use runyard_domain::element::Results;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::result::ResultsSchema;

/// Where an element stands in a worker run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// The element.
    pub element_id: String,
    /// Slug of its type; absent when the element was deleted.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub of_type: Option<String>,
    /// Its name; absent when the element was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `queued`, `started`, `processed` or `error`.
    pub state: String,
    /// How often it was handed out; what a commit names.
    pub attempt: i64,
    /// How often its worker lost it since it was queued or committed last.
    pub lost: i64,
    /// Who works on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// From then on others may take it, in epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<i64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Epoch milliseconds.
    pub updated_at: i64,
}

/// Claims elements.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who: a name of your own, 1 to 200 characters. A process of a job: `$RUNYARD_WORKER_HOLDER`.
    pub holder: String,
    /// At most so many, 1 to 1000.
    pub limit: i64,
    /// For how long, in milliseconds; absent: as the worker run says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<i64>,
}

/// An element that was handed out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Claimed {
    /// The element.
    pub element_id: String,
    /// To be named by the commit.
    pub attempt: i64,
    /// Slug of its type.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Its name.
    pub name: String,
    /// What was stored with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Map<String, Value>>,
    /// Its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ClaimedImage>,
    /// Where it is on the image: corners as x and y.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<i64>>>)]
    pub polygon: Option<Value>,
    /// Degrees, clockwise; absent: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub rotation_angle: i64,
    /// Whether it is seen in a mirror; absent: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub mirrored: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The image of an element that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimedImage {
    /// Id.
    pub id: String,
    /// Address.
    pub url: String,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
}

/// The answer to a claim.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClaimAnswer {
    /// What was handed out, in the order of their ids; none: look at `left`.
    pub claimed: Vec<Claimed>,
    /// Elements that are queued or started by others: when 0 with nothing claimed, there is nothing more to do. Else ask again
    /// later: what others hold may come back.
    pub left: i64,
    /// When the leases run out unless they are renewed, in epoch milliseconds.
    pub lease_until: i64,
}

/// Says that a holder is alive: all of its leases are longer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// Who.
    pub holder: String,
    /// From now on, in milliseconds; absent: as the worker run says. Never makes a lease shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<i64>,
}

/// Gives elements back to the queue.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who.
    pub holder: String,
    /// Which; absent: all that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<Vec<String>>,
    /// It has died: that counts against the elements, and those that were lost too often are set aside.
    #[serde(default)]
    #[schema(required = false)]
    pub died: bool,
}

/// Commits what workers found: state and results of each element in one transaction, all or nothing where an item is invalid.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// 1 to 1000 items, each element once.
    pub items: Vec<CommitItem>,
}

/// The result of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitItem {
    /// The element.
    pub element_id: String,
    /// As it was handed out.
    pub attempt: i64,
    /// `processed` or `error`.
    pub state: String,
    /// Why it failed; more than 10,000 characters are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was found; takes the place of what earlier attempts of the worker run left.
    #[serde(default, skip_serializing_if = "Results::is_empty")]
    #[schema(value_type = ResultsSchema, required = false)]
    pub results: Results,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Committed {
    /// The element.
    pub element_id: String,
    /// `accepted`, `repeated` (it was accepted before, and nothing was written again), `lease_lost` or `already_committed`: then
    /// the result does not count.
    pub outcome: String,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Puts elements back to the queue.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// `error` or `processed`.
    pub state: String,
    /// Only these; absent: all in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<Vec<String>>,
    /// Go on counting how often its worker lost an element; absent: begin anew.
    #[serde(default)]
    pub keep_attempts: bool,
}

/// A state that is set by name, by workers that know no attempts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetState {
    /// `started`, `processed` or `error`.
    pub state: String,
    /// Who: a name of your own; absent: the name of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// With `error`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
