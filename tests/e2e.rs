//! The product from outside: the real binary, its command line and its HTTP API, one module per area.

#[path = "e2e/checkpoints.rs"]
mod checkpoints;
#[path = "e2e/main_road.rs"]
mod main_road;
