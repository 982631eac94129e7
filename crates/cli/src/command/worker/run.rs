//! `runyard worker run`: a run of the kind `worker`, followed with a bar of its elements.

use runyard_domain::worker_run::{Query, Selection, WorkerSpec};

use crate::{
    address,
    args::{
        checkpoint::Keep,
        submit::{Config, Instances, Submit},
        worker::Run as Args,
    },
    command::run::tell,
    context::Context,
    failure::Failure,
    follow,
    output::{self, Format},
    selection, submission,
};

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    if context.out.format == Format::Csv {
        return Err(output::no_csv());
    }
    let corpus = address::corpus::corpus(context, &args.corpus).await?;
    let whole = || Selection { query: Some(Query::default()), ..Selection::default() };
    let worker = WorkerSpec {
        corpus: corpus.id.clone(),
        selection: selection::read(context, &corpus.id, &args.which).await?.unwrap_or_else(whole),
        worker: args.worker,
        processes: Some(args.processes),
        batch: args.batch,
        lease_ms: args.lease,
        max_attempts: args.max_attempts,
        worker_type: Some(args.worker_type.into()),
    };
    let submit = Submit {
        name: args.title,
        version: String::new(),
        blueprint: None,
        task_type: None,
        code: args.code,
        config: Config { config: args.config, set: args.config_set },
        resources: args.resources,
        place: args.place,
        instances: Instances::default(),
        keep: Keep::default(),
        terms: args.terms,
        command: args.command,
    };
    // A run belongs to the project of its corpus.
    let project = Some(corpus.project_id);
    let run = submission::submit(context, submit, Some((worker, project))).await?;
    let id = run.id.clone().unwrap_or_default();
    let worker_run = context.client.worker_run(&id).await?;
    let elements = worker_run.counts.queued + worker_run.counts.started;
    if context.out.format == Format::Table {
        output::note(format!(
            "run {id} ({}): {elements} elements of {}",
            run.name.as_deref().unwrap_or_default(),
            corpus.name
        ));
        if elements == 0 {
            output::note("nothing is selected: the worker will find nothing to do");
        }
    }
    if args.detach {
        context.out.one(&run, &id, || tell(&run, &id))?;
        return Ok(0);
    }
    follow::elements(context, &id).await
}
