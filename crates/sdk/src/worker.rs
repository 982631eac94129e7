//! Workers: programs that process each element of a worker run, or sets of datasets. What an author writes is a trait; claims,
//! leases, commits, failures, configuration, signals and exit codes are here. Never decides whose an element is: the server does.

use std::{error::Error as StdError, process::ExitCode};

use runyard_domain::element::Results;

mod commit;
mod configuration;
mod element;
mod elements;
mod guard;
mod lease;
mod named;
mod options;
mod program;
mod session;
mod set;
mod sets;
mod stop;
mod work;

pub use element::Element;
pub use elements::run_elements;
pub use options::{Asked, Kind, Options, USAGE};
pub use set::Set;
pub use sets::run_sets;
pub use stop::{Stop, Stopper};
pub use work::Work;

/// Why something could not be processed: any error. It is kept with the element, causes included.
pub type Failure = Box<dyn StdError + Send + Sync>;

/// Processes elements, one by one or in batches.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use runyard_sdk::worker::{Element, ElementsWorker, Failure};
/// use runyard_sdk::results::{Classification, Results};
///
/// struct Lengths;
///
/// impl ElementsWorker for Lengths {
///     fn process_element(&mut self, element: &Element) -> Result<Results, Failure> {
///         let class = if element.name.len() > 10 { "long" } else { "short" };
///         let classification = Classification {
///             class: class.into(),
///             confidence: 1.0,
///             high_confidence: true,
///             state: Default::default(),
///         };
///         Ok(Results { classifications: vec![classification], ..Results::default() })
///     }
/// }
///
/// fn main() -> ExitCode {
///     Lengths.run()
/// }
/// ```
pub trait ElementsWorker: Sized {
    /// Called once, before the first element: loads models, reads the configuration. An error ends the program with 1.
    fn configure(&mut self, work: &Work) -> Result<(), Failure> {
        let _ = work;
        Ok(())
    }

    /// What there is to say of one element. An error or a panic is recorded with the element, and the next one follows: so
    /// after a panic nothing of the worker may be left half changed.
    fn process_element(&mut self, element: &Element) -> Result<Results, Failure>;

    /// How many elements [`Self::process_batch`] wants at once; 1: it is never called.
    fn batch_size(&self) -> usize {
        1
    }

    /// The same for several elements at once, in their order. When it fails, panics or answers another number of results, each
    /// element is given to [`Self::process_element`], so that only those fail that must.
    fn process_batch(&mut self, elements: &[Element]) -> Result<Vec<Results>, Failure> {
        elements.iter().map(|element| self.process_element(element)).collect()
    }

    /// The whole program: reads the command line ([`USAGE`]) and what the job says, works, and ends as Arkindex's workers do:
    /// with 0 unless everything failed or there was nothing to do (1), or the command line was wrong (2); with 143 when it was
    /// stopped before all was done. Logs to stderr, unless the program has said where before.
    fn run(mut self) -> ExitCode {
        program::run(Kind::Elements, |environment, options, stop| {
            run_elements(&mut self, environment, options, stop)
        })
    }
}

/// Processes sets of datasets, each of which is brought as files.
pub trait DatasetWorker: Sized {
    /// Called once, before the first set. An error ends the program with 1.
    fn configure(&mut self, work: &Work) -> Result<(), Failure> {
        let _ = work;
        Ok(())
    }

    /// Does what is to be done with a set. An error or a panic is logged and counted, and the next set follows.
    fn process_set(&mut self, set: &Set) -> Result<(), Failure>;

    /// The whole program, as that of [`ElementsWorker::run`].
    fn run(mut self) -> ExitCode {
        program::run(Kind::Sets, |environment, options, stop| run_sets(&mut self, environment, options, stop))
    }
}

/// What came of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Elements or sets that this process has ended, or found done by others.
    pub ran: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those whose results do not count, because the lease was lost meanwhile.
    pub dropped: u64,
    /// It was stopped before all was done.
    pub stopped: bool,
    /// Nothing went well: neither here nor, in a worker run, anywhere else.
    pub all_failed: bool,
}

impl Summary {
    /// What a program that did this ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { stopped: true, .. } => 143,
            Self { all_failed: true, .. } => 1,
            _ => 0,
        }
    }
}
