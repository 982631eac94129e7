//! Time and randomness, from outside: the simulator brings its own.

use runyard_domain::Millis;

/// Where the engine takes time and random bytes from.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Millis;
    /// Fills `bytes` with random bytes, fit for secrets.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock and the kernel's random bytes.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel has random bytes once the machine has booted");
    }
}
