//! `runyard process`: a command over a folder of code, with what goes in and what comes out.

use std::time::Duration;

use runyard_domain::resources::Resources;
use runyard_sdk::{Command, ExperimentConfig, MetricDefinition, Processor, SpotSpec, UserVpcConfig};
use runyard_wire::run::Run;

use super::run::tell;
use crate::{
    address,
    args::process::Process,
    context::Context,
    failure::Failure,
    follow,
    output::{self, Format},
    source, submission,
};

pub(super) async fn run(
    context: &Context,
    args: Process,
    outputs: Vec<(String, Option<String>)>,
) -> Result<u8, Failure> {
    if context.out.format == Format::Csv {
        return Err(output::no_csv());
    }
    let detach = args.detach;
    let inputs = args.inputs.clone();
    let mut job = processor(context, args)?;
    let run = submit(context, &mut job, &inputs, &outputs).await?;
    let id = run.id.clone().unwrap_or_default();
    if detach {
        context.out.one(&run, &id, || tell(&run, &id))?;
        return Ok(0);
    }
    if context.out.format == Format::Table {
        output::note(format!("run {id} ({})", run.name.as_deref().unwrap_or_default()));
    }
    let code = follow::follow(context, &id).await?;
    if context.out.format == Format::Table {
        tell_outputs(&job, &id);
    }
    Ok(code)
}

/// Submits a job; people hear what is packed and sent.
pub(super) async fn submit(
    context: &Context,
    job: &mut Processor,
    inputs: &[(String, String)],
    outputs: &[(String, Option<String>)],
) -> Result<Run, runyard_sdk::Error> {
    let inputs: Vec<_> = inputs.iter().map(|(name, from)| (name.as_str(), from.as_str())).collect();
    let outputs: Vec<_> = outputs.iter().map(|(name, to)| (name.as_str(), to.as_deref())).collect();
    let people = context.out.format == Format::Table;
    let say = |note: &str| {
        if people {
            output::note(note);
        }
    };
    job.submit(&context.client, &inputs, &outputs, say).await
}

/// Where what came out is, and how to have it.
fn tell_outputs(job: &Processor, id: &str) {
    for (name, place) in job.get_outputs_data() {
        if place.starts_with("run://") {
            let short = address::short(id);
            output::note(format!("output {name}: {place} (`runyard artifact pull {short}/output/{name}`)"));
        } else {
            output::note(format!("output {name}: {place}"));
        }
    }
}

fn processor(context: &Context, args: Process) -> Result<Processor, Failure> {
    if args.command.is_empty() && args.place.image.is_none() {
        return Err(Failure::usage("there is nothing to run").hint(
            "write the program behind two dashes (`-- python main.py`), or name an --image that starts one",
        ));
    }
    let requirements = submission::requirements(&args.code)?;
    if let Some(folder) = &args.code.source {
        source::check(folder)?;
    }
    // What the options leave out is the type's.
    let unnamed = args
        .instances
        .instance_type
        .is_some()
        .then(|| Resources { cpu: String::new(), ..Resources::default() });
    let resources = submission::resources(&args.resources, unnamed.as_ref())?;
    let name =
        args.name.unwrap_or_else(|| submission::name(args.code.source.as_deref(), None, &args.command));
    let metric = |(name, regex)| MetricDefinition { name, regex, description: None };
    let foreign = args.foreign;
    Ok(Processor {
        source_dir: args.code.source,
        job_type: foreign.job_type,
        parameters: once("--parameter", args.parameters)?,
        environments: args.code.env.into_iter().collect(),
        requirements,
        max_run_time: args.terms.max_run_time.map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        base_job_name: Some(name),
        output_path: args.output_path,
        instance_type: args.instances.instance_type,
        spot_spec: foreign.spot.then(SpotSpec::default),
        resource_type: foreign.resource_type,
        instance_count: args.instances.instances,
        user_vpc_config: foreign.vpc.map(|vpc_id| UserVpcConfig { vpc_id, ..UserVpcConfig::default() }),
        experiment_config: foreign.experiment.map(|experiment_id| ExperimentConfig { experiment_id }),
        labels: args.terms.labels.into_iter().collect(),
        project: context.project.clone(),
        resources,
        executor: args.place.executor,
        secrets: once("--secret", args.terms.secrets)?,
        registry_secret: args.place.registry_secret,
        metric_definitions: args.metrics.into_iter().map(metric).collect(),
        retries: args.terms.retries,
        retry_on: args.terms.retry_on,
        priority: args.terms.priority,
        notes: args.terms.notes,
        ..Processor::new(args.place.image.as_deref(), Command::Words(args.command))
    })
}

/// The pairs of an option that says each name once.
fn once(
    option: &str,
    pairs: Vec<(String, String)>,
) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let mut all = std::collections::BTreeMap::new();
    for (name, value) in pairs {
        if all.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!("{option} {name} is given twice")).hint("give it once"));
        }
    }
    Ok(all)
}
