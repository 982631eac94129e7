//! The crate as its users see it.

mod foreign;
mod model;
mod source;
mod support;
