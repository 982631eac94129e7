//! Closures on their way to the database, and the bounded queue they wait in. A full queue refuses; it never blocks.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{Error, Tx};

/// What is to become of the transaction after a closure ran in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Commit it.
    Keep,
    /// Undo it: the closure failed.
    Undo,
    /// Undo it, and run the closure again: others were in the way.
    Again,
}

/// A closure whose types are forgotten.
pub(super) trait Task: Send {
    /// Runs the closure and keeps its result.
    fn attempt(&mut self, tx: &mut Tx<'_>) -> Verdict;

    /// Sends the result of the last attempt to the caller, if there still is one; or the engine's error in its place.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

/// A closure, its last result, and where that goes.
pub(super) struct Work<F, T, E> {
    closure: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work<F, T, E> {
    pub(super) fn new(closure: F) -> (Box<Self>, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { closure, result: None, reply }), answer)
    }
}

impl<F, T, E> Task for Work<F, T, E>
where
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn attempt(&mut self, tx: &mut Tx<'_>) -> Verdict {
        let result = match catch_unwind(AssertUnwindSafe(|| (self.closure)(tx))) {
            Ok(result) => result,
            Err(panic) => {
                self.result = Some(Err(Error::Panicked(panic_text(&*panic)).into()));
                return Verdict::Undo;
            }
        };
        let failure = tx.failure.take();
        let again = failure.as_ref().is_some_and(Error::is_worth_retrying);
        // A closure that swallowed the error of a statement does not get its transaction through.
        let result = match failure {
            Some(error) if result.is_ok() => Err(error.into()),
            _ => result,
        };
        let kept = result.is_ok();
        self.result = Some(result);
        match (kept, again) {
            (true, _) => Verdict::Keep,
            (false, false) => Verdict::Undo,
            (false, true) => Verdict::Again,
        }
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let answer = || {
            let result = match (outcome, self.result) {
                (Ok(()), Some(result)) => result,
                (Ok(()), None) => Err(Error::Sql("the operation was never run".into()).into()),
                (Err(error), _) => Err(error.into()),
            };
            // The caller may be gone; what was done stays done.
            let _ = self.reply.send(result);
        };
        // What the caller does not take is dropped here; others still wait for their answers.
        let _ = catch_unwind(AssertUnwindSafe(answer));
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Runs the loop of a database thread, again when it panicked: a thread that is gone would leave callers waiting.
pub(super) fn keep_going(mut work: impl FnMut()) {
    while let Err(panic) = catch_unwind(AssertUnwindSafe(&mut work)) {
        tracing::error!(panic = panic_text(&*panic), "a database thread panicked, it goes on");
    }
}

/// Something for a database thread to do.
pub(super) enum Job {
    /// A closure in a transaction.
    Task {
        /// The closure.
        task: Box<dyn Task>,
        /// Whether it writes.
        write: bool,
    },
    /// Move the write-ahead log into the database file.
    Checkpoint(oneshot::Sender<Result<(), Error>>),
}

/// A bounded queue of jobs.
pub(super) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a job, unless the queue is full or closed.
    pub(super) fn push(&self, job: Job) -> Result<(), Error> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Error::Unavailable("it has been closed".into()));
        }
        if waiting.jobs.len() >= self.capacity {
            return Err(Error::Busy);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; waits for one. `None`: the queue is closed and everything in it was done.
    pub(super) fn pop(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job if it is a task and there already.
    pub(super) fn pop_task(&self) -> Option<Box<dyn Task>> {
        match self.lock().jobs.pop_front_if(|job| matches!(job, Job::Task { .. })) {
            Some(Job::Task { task, .. }) => Some(task),
            _ => None,
        }
    }

    /// Takes no more jobs; those in the queue are still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
