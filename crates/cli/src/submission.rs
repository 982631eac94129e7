//! From the command line to the body of a new run. Everything that can be wrong here is said before anything is sent.

use std::{collections::BTreeMap, path::Path};

use runyard_domain::{resources::Resources, run::Kind, worker_run::WorkerSpec};
use runyard_wire::{
    blueprint::Blueprint,
    run::{NewRun, Run, RunSpec},
};

use crate::{address, args::submit, config, context::Context, failure::Failure, output::Format, source};

/// Submits the run; of the kind `worker` with what it works through, and in which project.
pub(crate) async fn submit(
    context: &Context,
    args: submit::Submit,
    worker: Option<(WorkerSpec, Option<String>)>,
) -> Result<Run, Failure> {
    if args.command.is_empty() && args.blueprint.is_none() {
        return Err(Failure::usage("there is nothing to run")
            .hint("write the program behind two dashes (`-- python train.py`), or name a --blueprint"));
    }
    let requirements = requirements(&args.code)?;
    let config = config::read(args.config.config.as_deref(), &args.config.set)?;
    if let Some(folder) = &args.code.source {
        source::check(folder)?;
    }
    resources(&args.resources, None)?;
    // What the options leave out is then the type's.
    let unnamed = args
        .instances
        .instance_type
        .is_some()
        .then(|| Resources { cpu: String::new(), ..Resources::default() });

    let blueprint = match &args.blueprint {
        Some(text) => Some(address::blueprint(context, text).await?),
        None => None,
    };
    let base = unnamed.as_ref().or(blueprint.as_ref().and_then(|blueprint| blueprint.resources.as_ref()));
    let resources = resources(&args.resources, base)?;
    let digest = match &args.code.source {
        Some(folder) => {
            Some(source::bring(&context.client, folder, context.out.format == Format::Table).await?)
        }
        None => None,
    };
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| name(args.code.source.as_deref(), blueprint.as_ref(), &args.command));
    let (worker, project) = worker.unzip();
    let new = NewRun {
        project_id: project
            .flatten()
            .or_else(|| context.project.clone())
            .or_else(|| blueprint.as_ref().map(|own| own.project_id.clone())),
        name,
        version: args.version,
        kind: worker.as_ref().map(|_| Kind::Worker.word().to_owned()),
        blueprint_id: blueprint.map(|blueprint| blueprint.id),
        task_type: args.task_type,
        config,
        resources,
        spec: Some(RunSpec {
            worker,
            command: args.command,
            image: args.place.image,
            registry_secret: args.place.registry_secret,
            source: digest,
            env: args.code.env.into_iter().collect(),
            requirements,
            max_run_time_s: args.terms.max_run_time,
            retries: args.terms.retries,
            retry_on: args.terms.retry_on,
            checkpoints: args.keep.retention(),
            secrets: args.terms.secrets.into_iter().collect(),
            instances: args.instances.instances,
            instance_type: args.instances.instance_type,
            ..RunSpec::default()
        }),
        executor: args.place.executor,
        priority: args.terms.priority,
        labels: args.terms.labels.into_iter().collect::<BTreeMap<_, _>>(),
        notes: args.terms.notes,
    };
    let run = context.client.create_run(&new).await?;
    if run.id.is_none() {
        return Err(
            Failure::new("the server made the run, but did not say its id").hint("`runyard ls` shows it")
        );
    }
    Ok(run)
}

/// The requirements of `--requirement` and of the lines of `--requirements-file`.
pub(crate) fn requirements(code: &submit::Code) -> Result<Vec<String>, Failure> {
    let mut all = code.requirements.clone();
    if let Some(file) = &code.requirements_file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("cannot read --requirements-file {}: {error}", file.display()))
        })?;
        all.extend(requirement_lines(&text));
    }
    Ok(all)
}

/// As pip reads such a file: a backslash joins lines, `#` after a space or at the start begins a comment.
fn requirement_lines(text: &str) -> impl Iterator<Item = String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines: Vec<String> = joined
        .lines()
        .map(|line| {
            let end = if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") };
            line[..end.unwrap_or(line.len())].trim().to_owned()
        })
        .filter(|line| !line.is_empty())
        .collect();
    lines.into_iter()
}

/// What the options ask for, over `base`. `None`: no option was given.
pub(crate) fn resources(
    args: &submit::Resources,
    base: Option<&Resources>,
) -> Result<Option<Resources>, Failure> {
    let submit::Resources { cpu, memory, storage, shared_memory, gpu } = args.clone();
    let nothing = cpu.is_none() && memory.is_none() && storage.is_none() && shared_memory.is_none();
    if nothing && gpu.is_none() {
        return Ok(None);
    }
    let base = base.cloned().unwrap_or_default();
    let resources = Resources {
        cpu: cpu.unwrap_or(base.cpu),
        memory: memory.or(base.memory),
        ephemeral_storage: storage.or(base.ephemeral_storage),
        shared_memory: shared_memory.or(base.shared_memory),
        gpu: gpu.or(base.gpu),
    };
    match resources.clone().over(Resources::default()).demand() {
        Ok(_) => Ok(Some(resources)),
        Err(errors) => Err(Failure::usage(format!("these resources cannot be: {errors}"))),
    }
}

/// A name for a run that was given none.
pub(crate) fn name(source: Option<&Path>, blueprint: Option<&Blueprint>, command: &[String]) -> String {
    let file_name = |path: &Path| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    source
        .and_then(|folder| folder.canonicalize().ok())
        .and_then(|folder| folder.file_name().map(|name| name.to_string_lossy().into_owned()))
        .or_else(|| blueprint.map(|blueprint| blueprint.name.clone()))
        .or_else(|| command.first().and_then(|program| file_name(Path::new(program))))
        .unwrap_or_else(|| "run".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirements_file_is_read_as_pip_reads_it() {
        let text =
            "# heading\n\nnumpy>=1.26  # why\nscikit-learn \\\n  ==1.5\r\n--index-url https://x/#frag\n   \n";
        let lines: Vec<String> = requirement_lines(text).collect();
        assert_eq!(lines, ["numpy>=1.26", "scikit-learn    ==1.5", "--index-url https://x/#frag"]);
    }

    #[test]
    fn an_option_changes_only_its_own_resource() {
        let base = Resources { cpu: "4".into(), memory: Some("2Gi".into()), ..Resources::default() };
        let args = submit::Resources { memory: Some("8Gi".into()), ..Default::default() };
        let changed = resources(&args, Some(&base)).unwrap().unwrap();
        assert_eq!((changed.cpu.as_str(), changed.memory.as_deref()), ("4", Some("8Gi")));
        assert_eq!(resources(&submit::Resources::default(), Some(&base)).unwrap(), None);
        let none = submit::Resources { cpu: Some("0".into()), ..Default::default() };
        assert!(resources(&none, None).unwrap_err().to_string().contains("cpu: must be more than 0"));
    }

    #[test]
    fn a_run_without_a_name_is_named_after_what_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("digits");
        std::fs::create_dir(&source).unwrap();
        let command = ["/usr/bin/train.sh".to_owned()];
        assert_eq!(name(Some(&source), None, &command), "digits");
        assert_eq!(name(None, None, &command), "train");
        assert_eq!(name(None, None, &[]), "run");
    }
}
