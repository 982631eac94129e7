//! Chariot's training API from outside: every point of its contract's checklist, the answers held against the served
//! document, and a client that openapi-generator makes of that document.

#[path = "chariot/checkpoints.rs"]
mod checkpoints;
#[path = "chariot/client.rs"]
mod client;
#[path = "chariot/document.rs"]
mod document;
#[path = "chariot/models.rs"]
mod models;
#[path = "chariot/points.rs"]
mod points;
#[path = "chariot/refusals.rs"]
mod refusals;
#[path = "chariot/running.rs"]
mod running;
#[path = "chariot/site.rs"]
mod site;
