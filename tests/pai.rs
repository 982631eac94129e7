//! PAI's API from outside: its Python SDK from PyPI, unmodified, submits jobs to the real server, and reads what became of them.

#[path = "pai/clients.rs"]
mod clients;
#[path = "pai/containers.rs"]
mod containers;
#[path = "pai/estimator.rs"]
mod estimator;
#[path = "pai/oss.rs"]
mod oss;
#[path = "pai/processor.rs"]
mod processor;
#[path = "pai/raw.rs"]
mod raw;
#[path = "pai/restarting.rs"]
mod restarting;
#[path = "pai/site.rs"]
mod site;
