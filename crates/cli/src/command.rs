//! What each command does, one file per command or noun.

use std::process::ExitCode;

use crate::{
    args::{Args, Command},
    context::Context,
    failure::Failure,
};

mod apply;
mod arkindex;
mod artifact;
mod backup;
mod blueprint;
mod checkpoint;
mod confirm;
mod corpus;
mod dataset;
mod doctor;
mod element;
mod events;
mod gc;
mod instance_types;
mod logs;
mod ls;
mod metrics;
mod model;
mod offline;
mod process;
mod project;
mod restart;
mod rm;
mod run;
mod runner;
mod secret;
mod serve;
mod show;
mod stop;
mod token;
mod wait;
mod worker;

pub(crate) use ls::pattern;

/// Does what the command line says; answers the exit code.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let global = args.global;
    let outputs = global.outputs();
    if !matches!(args.command, Command::Process(_)) && !outputs.is_empty() {
        return Err(no_format(&outputs));
    }
    match args.command {
        Command::Serve(serve) => serve::run(&global, serve),
        Command::Runner(args) => Ok(runner::run(args)),
        Command::Completions { shell } => offline::completions(shell),
        Command::Openapi => offline::openapi(),
        Command::Schema { of } => offline::schema(of),
        Command::Doctor => block_on(doctor::run(&global)),
        Command::Restore(restore) => block_on(backup::restore(&global, restore)),
        Command::Process(args) => block_on(async move {
            process::run(&Context::new(&global)?, *args, outputs).await.map(ExitCode::from)
        }),
        online => block_on(async move { speak(&Context::new(&global)?, online).await.map(ExitCode::from) }),
    }
}

/// Only `process` has outputs.
fn no_format(outputs: &[(String, Option<String>)]) -> Failure {
    let (name, _) = &outputs[0];
    Failure::usage(format!("invalid value '{name}' for '--output <FORMAT>'"))
        .hint("answers are shown as table, json, quiet or csv; channels are outputs of `runyard process`")
}

async fn speak(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(args) => run::run(context, args).await,
        Command::Backup(args) => backup::backup(context, args).await,
        Command::Gc(args) => gc::run(context, args).await,
        Command::Submit(args) => run::submit(context, args).await,
        Command::Apply(args) => apply::run(context, args).await,
        Command::Ls(args) => ls::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Logs(args) => logs::run(context, args).await,
        Command::Events(args) => events::run(context, args).await,
        Command::Metrics(args) => metrics::run(context, args).await,
        Command::Checkpoints(args) => checkpoint::list(context, args).await,
        Command::Checkpoint(args) => checkpoint::run(context, args).await,
        Command::Artifacts(args) => artifact::list(context, args).await,
        Command::Artifact(args) => artifact::run(context, args).await,
        Command::Model(args) => model::run(context, args).await,
        Command::Corpus(args) => corpus::run(context, args).await,
        Command::Element(args) => element::run(context, args).await,
        Command::Worker(args) => worker::run(context, args).await,
        Command::Dataset(args) => dataset::run(context, args).await,
        Command::Arkindex(args) => arkindex::run(context, args).await,
        Command::Stop(args) => stop::run(context, args).await,
        Command::Restart(args) => restart::run(context, args).await,
        Command::Rm(args) => rm::run(context, args).await,
        Command::Wait(args) => wait::run(context, args).await,
        Command::Blueprint(args) => blueprint::run(context, args).await,
        Command::Project(args) => project::run(context, args).await,
        Command::Token(args) => token::run(context, args).await,
        Command::Secret(args) => secret::run(context, args).await,
        Command::InstanceTypes => instance_types::run(context).await,
        Command::Serve(_)
        | Command::Runner(_)
        | Command::Doctor
        | Command::Restore(_)
        | Command::Completions { .. }
        | Command::Process(_)
        | Command::Schema { .. }
        | Command::Openapi => unreachable!("these speak to no server"),
    }
}

/// Commands wait for one thing at a time: one thread is enough.
fn block_on(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(command);
    // Nothing that is still under way is worth waiting for.
    runtime.shutdown_background();
    result
}
