//! Chaos: servers, runners and workers are killed with SIGKILL at random moments while programs run. Whatever is killed, the end
//! is true, nothing that a program said is lost or told twice, no program is launched twice or killed by us, and no element of a
//! worker run is lost or committed twice.
//!
//! What is left to chance comes from a seed that is printed; `RUNYARD_SEED=n` uses it again.

#[path = "chaos/dice.rs"]
mod dice;
#[path = "chaos/door.rs"]
mod door;
#[path = "chaos/elements.rs"]
mod elements;
#[path = "chaos/harvest.rs"]
mod harvest;
#[path = "chaos/program.rs"]
mod program;
#[path = "chaos/runners.rs"]
mod runners;
#[path = "chaos/servers.rs"]
mod servers;
#[path = "chaos/verdict.rs"]
mod verdict;
#[path = "chaos/workers.rs"]
mod workers;
