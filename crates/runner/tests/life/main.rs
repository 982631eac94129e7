//! The runner as a process of its own, against a fake server: what it promises about the program, whatever happens.

mod bench;
mod end;
mod fake;
mod instances;
mod printed;
mod report;
mod server;
mod staging;
mod stop;
mod uploads;
mod workers;
