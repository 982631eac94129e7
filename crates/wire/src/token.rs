//! Tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Id; revokes it.
    pub id: String,
    /// For people.
    pub name: String,
    /// `admin`, `project` or `run`.
    pub scope: String,
    /// The project it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The run it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// When it stops working, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Id of its access key, of a token for clients that sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
}

/// Creates a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For people; 1 to 100 characters.
    pub name: String,
    /// `admin`, `project` or `run`.
    pub scope: String,
    /// Needed by the scope `project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Needed by the scope `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Seconds from now until it stops working; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<i64>,
    /// Whether it gets an access key, for clients that sign their requests (PAI's, OSS's). The server keeps its secret then,
    /// encrypted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub access_key: bool,
}

/// A token that was just created: the only time its secret is shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// What goes behind `Authorization: Bearer `, and what a client with its access key signs with.
    pub secret: String,
}
