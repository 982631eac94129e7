//! Chaos: servers and runners are killed with SIGKILL at random moments while programs run. Whatever is killed, the end is
//! true, nothing that a program said is lost or told twice, and no program is launched twice or killed by us.
//!
//! What is left to chance comes from a seed that is printed; `RUNYARD_SEED=n` uses it again.

#[path = "chaos/dice.rs"]
mod dice;
#[path = "chaos/door.rs"]
mod door;
#[path = "chaos/program.rs"]
mod program;
#[path = "chaos/runners.rs"]
mod runners;
#[path = "chaos/servers.rs"]
mod servers;
#[path = "chaos/verdict.rs"]
mod verdict;
