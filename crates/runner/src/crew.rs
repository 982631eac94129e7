//! The processes of a job's program: one, its instances, or as many as a worker run asks for. Signals all of them, waits for all
//! of them, says when the failure of an instance is to end the others, and starts one of a worker run that died again while
//! elements are left. Never starts one again once the job is to end.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::pin,
    process::ExitStatus,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::sync::mpsc;

use crate::{
    environment::Environment,
    gang::{self, Gang},
    job::Job,
    launch::{self, Lines, OUTPUT_PATIENCE, Running},
    processes,
    worker::{self, After},
};

/// A process that died so often in a row without an element in its hands would only do so again.
const FRUITLESS_MAX: u32 = 3;
/// How much longer each such death makes the wait for the next start.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens the way into the control groups of an instance for one process.
pub(crate) type Doors = Rc<dyn Fn(usize) -> Vec<std::fs::File>>;

/// The processes of a program.
pub(crate) struct Crew {
    job: Rc<Job>,
    doors: Doors,
    env: Environment,
    /// The processes are instances, and this is what they have in common.
    gang: Option<Gang>,
    places: Vec<Place>,
    /// The instance that failed first.
    failed: Option<usize>,
    /// A signal was sent: nobody is started again.
    ending: Cell<bool>,
    tell: mpsc::UnboundedSender<(usize, After)>,
    told: mpsc::UnboundedReceiver<(usize, After)>,
}

/// One process, and those that were there before it.
struct Place {
    /// The process's own number.
    number: usize,
    running: Option<Running>,
    /// How the last one ended, once no other follows for sure, or while the server is asked whether one should.
    end: Option<io::Result<ExitStatus>>,
    asking: bool,
    /// Deaths in a row of processes that held no element.
    fruitless: u32,
}

impl Crew {
    /// Launches the program: once, or as often as its instances or the worker run say.
    ///
    /// # Errors
    /// A sentence for the person who wrote the command; then none of them runs.
    pub(crate) async fn launch(job: &Rc<Job>, env: Environment, doors: Doors) -> Result<Self, String> {
        let (tell, told) = mpsc::unbounded_channel();
        let gang = Gang::of(&job.spec)?;
        let mut crew = Self {
            job: job.clone(),
            doors,
            env,
            gang,
            places: Vec::new(),
            failed: None,
            ending: Cell::new(false),
            tell,
            told,
        };
        let numbers = match gang {
            Some(gang) => (0..gang.size).collect(),
            None => worker::share_out(job).await?,
        };
        for number in numbers {
            let running = Some(crew.start(number)?);
            crew.places.push(Place { number, running, end: None, asking: false, fruitless: 0 });
        }
        Ok(crew)
    }

    fn start(&self, number: usize) -> Result<Running, String> {
        let (job, cwd) = (&self.job, self.job.folder.usercode());
        let command = &job.spec.command;
        let output = job.output.clone();
        let doors = (self.doors)(if self.gang.is_some() { number } else { 0 });
        match (&job.spec.worker, self.gang) {
            (None, None) => launch::launch(command, &cwd, &self.env, doors, output, Lines::AsTheyCome),
            (None, Some(gang)) => {
                let env = gang.environment(self.env.clone(), &job.spec, number);
                launch::launch(command, &cwd, &env, doors, output, Lines::Of(number))
            }
            (Some(own), _) => {
                let env = worker::environment(self.env.clone(), job, own, number)?;
                let lines = if own.processes > 1 { Lines::Whole } else { Lines::AsTheyCome };
                launch::launch(command, &cwd, &env, doors, output, lines)
            }
        }
    }

    /// Pids of the processes that run, each also the number of its process group.
    pub(crate) fn pids(&self) -> Vec<i32> {
        self.places.iter().filter_map(|place| Some(place.running.as_ref()?.pid)).collect()
    }

    /// Pids of the instances that run, by rank. Of other processes, one that stands for all.
    pub(crate) fn pids_by_instance(&self) -> Vec<(usize, i32)> {
        match self.gang {
            Some(_) => {
                let pid = |place: &Place| Some((place.number, place.running.as_ref()?.pid));
                self.places.iter().filter_map(pid).collect()
            }
            None => vec![(0, self.pid())],
        }
    }

    /// The first of them, which stands for all.
    pub(crate) fn pid(&self) -> i32 {
        self.pids().first().copied().unwrap_or(0)
    }

    /// Waits until all have ended and no one is to be started again, or until an instance has failed while others run. Starts
    /// those again that died while elements are left. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Ended {
        loop {
            let event = poll_fn(|cx| self.next(cx)).await;
            match event {
                Event::Ended(at, status) => {
                    if self.note(at, status) {
                        return Ended::OneFailed;
                    }
                }
                Event::Told(at, after) => self.decide(at, after),
                Event::All => return self.verdict(),
            }
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        for (at, place) in self.places.iter_mut().enumerate() {
            if place.end.is_some() {
                continue;
            }
            if let Some(running) = &mut place.running
                && let Poll::Ready(status) = pin!(running.ended()).poll(cx)
            {
                return Poll::Ready(Event::Ended(at, status));
            }
        }
        if self.ending.get() && self.places.iter().all(|place| place.end.is_some())
            || self.places.iter().all(|place| place.end.is_some() && !place.asking)
        {
            return Poll::Ready(Event::All);
        }
        match self.told.poll_recv(cx) {
            Poll::Ready(Some((at, after))) => Poll::Ready(Event::Told(at, after)),
            // The sender is ours: it never closes.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Answers whether all others are to end now.
    fn note(&mut self, at: usize, status: io::Result<ExitStatus>) -> bool {
        let failed = !status.as_ref().is_ok_and(ExitStatus::success);
        self.places[at].end = Some(status);
        if self.gang.is_some() {
            let first = failed && self.failed.is_none();
            if first {
                self.failed = Some(at);
            }
            return first && !self.ending.get() && self.places.iter().any(|place| place.end.is_none());
        }
        let place = &mut self.places[at];
        let Some(own) = self.job.spec.worker.clone().filter(|_| failed && !self.ending.get()) else {
            return false;
        };
        // What it started must not go on beside its successor.
        if let Some(running) = &place.running {
            let group = running.pid;
            processes::kill_each(processes::ours().iter().filter(|process| process.group == group));
        }
        place.asking = true;
        let (job, tell) = (self.job.clone(), self.tell.clone());
        let (number, pause) = (place.number, PAUSE * place.fruitless);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(pause).await;
            let after = worker::after_death(&job, &own, number).await;
            // Nobody listens when the job has ended meanwhile.
            let _ = tell.send((at, after));
        });
        false
    }

    fn decide(&mut self, at: usize, after: After) {
        let place = &mut self.places[at];
        let number = place.number;
        place.asking = false;
        place.fruitless = if after.held > 0 { 0 } else { place.fruitless + 1 };
        if self.ending.get() || after.left == 0 {
            return;
        }
        if place.fruitless >= FRUITLESS_MAX {
            let note = format!(
                "process {number} died {FRUITLESS_MAX} times in a row before it had an element: not started again"
            );
            return self.job.output.note(&note);
        }
        let how = place.end.as_ref().map(gang::describe).unwrap_or_default();
        let Some(mut before) = self.places[at].running.take() else { return };
        let (job, note) = (self.job.clone(), format!("process {number} {how}: started again"));
        tokio::task::spawn_local(async move {
            before.finish_output(OUTPUT_PATIENCE).await;
            job.output.note(&note);
        });
        match self.start(number) {
            Ok(running) => {
                let place = &mut self.places[at];
                place.running = Some(running);
                place.end = None;
            }
            Err(message) => {
                self.job.output.note(&format!("process {number} cannot be started again: {message}"));
            }
        }
    }

    /// The first end that was not a success (of instances the first in time), else that of the first process.
    fn verdict(&mut self) -> Ended {
        let story = self.story();
        let mut ends: Vec<io::Result<ExitStatus>> =
            self.places.iter_mut().filter_map(|place| place.end.take()).collect();
        let failed = ends.iter().position(|end| !end.as_ref().is_ok_and(ExitStatus::success));
        Ended::All { status: ends.swap_remove(self.failed.or(failed).unwrap_or(0)), story }
    }

    /// How all instances ended, where one failed.
    fn story(&self) -> Option<String> {
        let failed = self.failed.filter(|_| self.gang.is_some())?;
        let of = |place: &Place| Some((place.number, gang::describe(place.end.as_ref()?)));
        let ends: Vec<(usize, String)> = self.places.iter().filter_map(of).collect();
        Some(gang::story(failed, &ends))
    }

    /// Waits until nobody has the stdout or stderr of any of them open any more.
    pub(crate) async fn output_ended(&mut self) {
        for place in &mut self.places {
            if let Some(running) = &mut place.running {
                running.output_ended().await;
            }
        }
    }

    /// Takes the rest of the output, for no longer than `patience` when somebody keeps it open.
    pub(crate) async fn finish_output(&mut self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.output_ended()).await;
        for place in &mut self.places {
            if let Some(running) = &mut place.running {
                running.finish_output(Duration::ZERO).await;
            }
        }
    }

    /// Signals all process groups whose leaders have not been waited for; nobody is started again after it.
    pub(crate) fn signal(&self, signal: Signal) {
        self.ending.set(true);
        for running in self.places.iter().filter_map(|place| place.running.as_ref()) {
            running.signal(signal);
        }
    }
}

/// How far the processes are.
pub(crate) enum Ended {
    /// An instance failed while others run: they have nothing left to do.
    OneFailed,
    /// All have ended.
    All {
        /// How, in one.
        status: io::Result<ExitStatus>,
        /// How each instance ended, in a sentence, where one failed.
        story: Option<String>,
    },
}

enum Event {
    Ended(usize, io::Result<ExitStatus>),
    Told(usize, After),
    All,
}
