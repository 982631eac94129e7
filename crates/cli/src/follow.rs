//! Follows a run in the terminal to its end, or until the person detaches. Following never changes the run, unless
//! the person asks for a stop.

mod ask;
mod elements;
mod log;
mod screen;
mod summary;

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use runyard_client::{
    Error,
    run::{End, Update, Want},
};
use runyard_wire::{
    run::StopRun,
    worker_run::{Counts, WorkerRun},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{address, context::Context, failure::Failure, output, output::Format, show};
use ask::Choice;
use elements::Pace;
use screen::Screen;

/// Grace of a stop that was asked for with Ctrl-C.
const STOP_GRACE_S: i64 = 30;

/// How often the counts of a worker run are asked for.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Follows the run `id`; answers the exit code.
pub(crate) async fn follow(context: &Context, id: &str) -> Result<u8, Failure> {
    until_end(context, id, false).await
}

/// The same of a run that works through elements, with how far it is.
pub(crate) async fn elements(context: &Context, id: &str) -> Result<u8, Failure> {
    until_end(context, id, true).await
}

async fn until_end(context: &Context, id: &str, elements: bool) -> Result<u8, Failure> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut following = context.client.follow_run(id, Want { logs: true, metrics: true, ..Want::default() });
    let mut screen = Screen::new(context.out.format);
    let mut pace = Pace::default();
    let mut asked = ask(context, id, Duration::ZERO);
    let end = loop {
        let update = tokio::select! {
            update = following.next() => update,
            _ = interrupt.recv() => match ask::choice(&mut screen, &mut interrupt, &mut terminate).await {
                Choice::GoOn => continue,
                Choice::Detach(code) => return Ok(detach(&mut screen, id, code)),
                Choice::Stop => {
                    stop(context, &mut screen, id).await?;
                    continue;
                }
            },
            _ = terminate.recv() => return Ok(detach(&mut screen, id, 143)),
            counted = &mut asked, if elements => {
                if let Ok(run) = counted {
                    screen.elements(&pace.take(run.counts, Instant::now()));
                }
                asked = ask(context, id, COUNT_EVERY);
                continue;
            }
        };
        let Some(update) = update.inspect_err(|_| screen.close())? else { break None };
        match update {
            Update::Status(event) => screen.status(&event),
            Update::Progress(progress) => screen.progress(progress),
            Update::Metrics(points) => screen.metrics(points),
            Update::Log(part) => screen.log(&part).inspect_err(|_| screen.close())?,
            Update::Lost(error) => {
                screen.lost(&error);
                if let Some(url) = context.url_now() {
                    following.set_url(&url);
                }
            }
            Update::Found => screen.found(),
            Update::End(end) => break Some(end),
        }
    };
    let counts =
        if elements { context.client_now().worker_run(id).await.ok().map(|run| run.counts) } else { None };
    finish(context, screen, id, end, counts).await
}

/// Asks for the worker run after a while.
fn ask(
    context: &Context,
    id: &str,
    after: Duration,
) -> Pin<Box<dyn Future<Output = Result<WorkerRun, Error>>>> {
    let (client, id) = (context.client_now(), id.to_owned());
    Box::pin(async move {
        tokio::time::sleep(after).await;
        client.worker_run(&id).await
    })
}

async fn finish(
    context: &Context,
    mut screen: Screen,
    id: &str,
    end: Option<End>,
    counts: Option<Counts>,
) -> Result<u8, Failure> {
    screen.close();
    let run = context.client_now().run(id).await;
    let (status, exit) = match (&end, &run) {
        (Some(end), _) => (Some(end.status), end.exit.clone()),
        (None, Ok(run)) => (run.status, run.exit.clone()),
        (None, Err(_)) => (None, None),
    };
    let exit = show::exit(exit.as_ref());
    match context.out.format {
        Format::Json => output::json(&run?)?,
        Format::Table => {
            summary::tell(run.ok().as_ref(), id, status, exit.as_ref(), screen.newest());
            if let Some(counts) = counts {
                summary::tell_elements(id, counts);
            }
        }
        Format::Quiet | Format::Csv => {}
    }
    Ok(show::exit_code(status, exit.as_ref()))
}

async fn stop(context: &Context, screen: &mut Screen, id: &str) -> Result<(), Failure> {
    let stop = StopRun { grace_period_seconds: Some(STOP_GRACE_S) };
    match context.client_now().stop_run(id, &stop).await {
        Ok(()) => screen.say(&format!("stopping: SIGTERM now, SIGKILL after {STOP_GRACE_S} s")),
        // It ended by itself while we asked: the stream will say so.
        Err(error) if error.status() == Some(409) => {}
        Err(error) => {
            screen.close();
            return Err(error.into());
        }
    }
    Ok(())
}

fn detach(screen: &mut Screen, id: &str, code: u8) -> u8 {
    screen.close();
    let short = address::short(id);
    output::note(format!(
        "detached: the run goes on. Follow it with `runyard logs -f {short}`, stop it with `runyard stop {short}`"
    ));
    code
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))
}
