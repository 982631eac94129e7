//! The database, SQLite or PostgreSQL behind one type: all SQL, and only here.
//!
//! A file per noun: plain functions over a transaction, records in and out. No rule of the product lives here.

pub mod activity;
pub mod arkindex_export;
pub mod blueprint;
pub mod cache_file;
pub mod channel;
pub mod corpus;
pub mod dataset;
pub mod db;
pub mod dump;
pub mod element;
pub mod event;
pub mod experiment;
pub mod file_set;
pub mod idempotency;
pub mod image;
pub mod job;
pub mod log;
pub mod metric;
pub mod model;
pub mod object;
pub mod oss;
pub mod project;
#[cfg(test)]
mod races;
pub mod run;
pub mod secret;
pub mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
pub mod worker_run;

pub use db::{Conditions, Db, Dialect, Error, Options, Point, Row, Tx, Value};
