//! From the addresses of a new run to the one thing that each means in the run's project. What is not there, not whole or
//! of another project is said by the name of its channel.

use runyard_domain::{
    DatasetId, FieldErrors, ProjectId, RunId,
    channel::{ARTIFACT, Direction, Kind, Place, Step, Uri},
    checkpoint::Status,
    dataset::State as DatasetState,
    model::{Reference, State},
    run::{Run, Spec},
};
use runyard_store::{
    self as store, Tx,
    channel::Link,
    dataset::Dataset,
    file_set::{FileSet, Filter, file as rows},
    model::version::{Filter as VersionFilter, ModelVersion},
};

use super::bucket;
use crate::{Result, file_set};

/// Artifacts of a run that are looked through for an output.
const ARTIFACTS: i64 = 1_000;
/// What is named of several things that may be meant.
const NAMED: usize = 3;

/// What an address means; or why it means nothing, for people.
type Found = std::result::Result<Target, String>;

/// The one thing that is meant.
struct Target {
    kind: Kind,
    id: Option<String>,
    place: String,
    from: Option<RunId>,
}

/// The links of a run that is being submitted. Addresses that cannot be read were refused before.
pub(crate) fn links(
    tx: &mut Tx,
    project: ProjectId,
    run: RunId,
    spec: &Spec,
    errors: &mut FieldErrors,
) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    let mut link = |direction: Direction, channel: &str, uri: String, found: Found| {
        let field = if direction == Direction::Input { "inputs" } else { "outputs" };
        match found {
            Ok(target) => links.push(Link {
                run_id: run,
                project_id: project,
                direction,
                channel: channel.to_owned(),
                kind: target.kind,
                uri,
                target_id: target.id,
                place: target.place,
                from_run_id: target.from,
            }),
            Err(reason) => errors.add(format!("spec.{field}.{channel}"), reason),
        }
    };
    for (channel, text) in &spec.inputs {
        let Ok(uri) = Uri::parse(text) else { continue };
        let found = input(tx, project, uri)?;
        link(Direction::Input, channel, text.clone(), found);
    }
    for (channel, text) in &spec.outputs {
        let found = match text.as_deref().map(Uri::parse_output) {
            None => Ok(Target { kind: Kind::Artifact, id: None, place: String::new(), from: None }),
            Some(Ok(uri)) => output(tx, project, &uri)?,
            Some(Err(_)) => continue,
        };
        let uri = text.clone().unwrap_or_else(|| format!("run://{run}/{ARTIFACT}{channel}"));
        link(Direction::Output, channel, uri, found);
    }
    Ok(links)
}

fn input(tx: &mut Tx, project: ProjectId, uri: Uri) -> Result<Found> {
    match uri {
        Uri::Upload { digest, file } => upload(tx, digest, file),
        Uri::S3(place) => in_bucket(tx, project, Kind::S3, &place, None),
        Uri::Oss(place) => in_bucket(tx, project, Kind::Oss, &place, None),
        Uri::Run { run, output, path } => match find_run(tx, project, &run)? {
            Ok(run) => of_run(tx, &run, &output, path.as_deref()),
            Err(reason) => Ok(Err(reason)),
        },
        Uri::Model(reference) => model(tx, project, reference),
        Uri::Checkpoint { run, step } => match find_run(tx, project, &run)? {
            Ok(run) => checkpoint(tx, &run, step),
            Err(reason) => Ok(Err(reason)),
        },
        Uri::Dataset { name } => dataset(tx, project, &name),
    }
}

fn output(tx: &mut Tx, project: ProjectId, uri: &Uri) -> Result<Found> {
    let (kind, place) = match uri {
        Uri::Oss(place) => match bucket::writable(tx, project, &place.bucket)? {
            Ok(()) => (Kind::Oss, uri.to_string()),
            Err(reason) => return Ok(Err(reason)),
        },
        other => (Kind::S3, other.to_string()),
    };
    Ok(Ok(Target { kind, id: None, place, from: None }))
}

fn upload(tx: &mut Tx, digest: String, file: Option<String>) -> Result<Found> {
    if store::source::size(tx, &digest)?.is_none() {
        return Ok(Err(format!("there is no source `{digest}`: upload it first")));
    }
    let place = file.unwrap_or_default();
    Ok(Ok(Target { kind: Kind::Upload, id: Some(digest), place, from: None }))
}

/// An address in a bucket; `from`: the run that is known to have written it.
fn in_bucket(
    tx: &mut Tx,
    project: ProjectId,
    kind: Kind,
    place: &Place,
    from: Option<RunId>,
) -> Result<Found> {
    let scheme = kind.word();
    let address = |key: &str| format!("{scheme}://{}/{key}", place.bucket);
    if kind == Kind::Oss
        && let Err(reason) = bucket::readable(tx, project, place)?
    {
        return Ok(Err(reason));
    }
    let from = if from.is_some() {
        from
    } else {
        // Whoever writes to a prefix has made what is below it.
        let ends = place.key.match_indices('/').map(|(at, _)| at + 1);
        let above: Vec<String> =
            std::iter::once(0).chain(ends).map(|end| address(&place.key[..end])).collect();
        store::channel::writer(tx, project, &above)?
    };
    Ok(Ok(Target { kind, id: None, place: address(&place.key), from }))
}

/// The run of a project by id or by its only name.
fn find_run(tx: &mut Tx, project: ProjectId, id_or_name: &str) -> Result<std::result::Result<Run, String>> {
    if let Ok(id) = id_or_name.parse() {
        let run = store::run::get(tx, id)?.filter(|run| run.project_id == project);
        return Ok(run.ok_or_else(|| format!("there is no run `{id}` in this project")));
    }
    let mut found = store::run::named(tx, project, id_or_name, NAMED as i64 + 1)?;
    Ok(match found.len() {
        0 => Err(format!("no run of this project has the id or the name `{id_or_name}`")),
        1 => Ok(found.remove(0)),
        count => {
            let ids: Vec<String> = found.iter().take(NAMED).map(|run| run.id.to_string()).collect();
            let more = if count > NAMED { ", ..." } else { "" };
            Err(format!(
                "several runs have the name `{id_or_name}`: write an id, the newest first: {}{more}",
                ids.join(", ")
            ))
        }
    })
}

/// What a run has written to an output.
fn of_run(tx: &mut Tx, run: &Run, output: &str, path: Option<&str>) -> Result<Found> {
    if let Some(link) = store::channel::get(tx, run.id, Direction::Output, output)?
        && link.kind != Kind::Artifact
    {
        if let Err(reason) = ended(run, output) {
            return Ok(Err(reason));
        }
        let place = link.place + path.unwrap_or_default();
        return match Uri::parse(&place) {
            Ok(Uri::S3(place) | Uri::Oss(place)) => {
                in_bucket(tx, run.project_id, link.kind, &place, Some(run.id))
            }
            Ok(_) => Ok(Err(format!("`{place}` is no address in a bucket"))),
            Err(error) => Ok(Err(error.to_string())),
        };
    }
    let Some((set, place)) = kept(tx, run, output)? else {
        return Ok(Err(match ended(run, output) {
            Err(reason) => reason,
            Ok(()) => format!("run {} wrote nothing to its output `{output}`", run.id),
        }));
    };
    let place = match (place.strip_suffix('/'), path) {
        // An output of one file has nothing below it.
        (None, Some(path)) if !place.is_empty() => {
            return Ok(Err(format!("`{place}` of run {} is a file: there is no `{path}` in it", run.id)));
        }
        _ => place + path.unwrap_or_default(),
    };
    if let Err(reason) = has(tx, &set, &place)? {
        return Ok(Err(format!("output `{output}` of run {} {reason}", run.id)));
    }
    Ok(Ok(Target { kind: Kind::Artifact, id: Some(set.id.to_string()), place, from: Some(run.id) }))
}

/// Whether nothing more is written to the output.
fn ended(run: &Run, output: &str) -> std::result::Result<(), String> {
    let status = run.life.status;
    if status.is_terminal() {
        return Ok(());
    }
    Err(format!(
        "run {} has not ended (it is {status}): its output `{output}` is not there yet; wait for it (`runyard wait {}`)",
        run.id, run.id
    ))
}

/// The newest artifact that keeps an output, and the place in it.
fn kept(tx: &mut Tx, run: &Run, output: &str) -> Result<Option<(FileSet, String)>> {
    let filter = Filter {
        run_ids: vec![run.id],
        statuses: vec![Status::Complete],
        limit: ARTIFACTS,
        ..Filter::of(runyard_domain::checkpoint::Kind::Artifact)
    };
    let artifacts = store::file_set::list(tx, &filter)?;
    let folder = format!("{ARTIFACT}{output}");
    if let Some(set) = artifacts.iter().find(|set| set.path.as_deref() == Some(folder.as_str())) {
        return Ok(Some((set.clone(), String::new())));
    }
    // What a run left in `output/` without saying that it is a channel.
    for set in artifacts.into_iter().filter(|set| set.path.as_deref() == Some(ARTIFACT.trim_end_matches('/')))
    {
        let below = format!("{output}/");
        if !rows::page_below(tx, set.id, &below, None, 1)?.is_empty() {
            return Ok(Some((set, below)));
        }
        if !rows::by_paths(tx, set.id, &[output])?.is_empty() {
            return Ok(Some((set, output.to_owned())));
        }
    }
    Ok(None)
}

/// Whether a set has this file, or anything in this folder.
fn has(tx: &mut Tx, set: &FileSet, place: &str) -> Result<std::result::Result<(), String>> {
    if place.is_empty() {
        return Ok(Ok(()));
    }
    let folder = if place.ends_with('/') { place.to_owned() } else { format!("{place}/") };
    let is_folder = !rows::page_below(tx, set.id, &folder, None, 1)?.is_empty();
    let is_file = !place.ends_with('/') && !rows::by_paths(tx, set.id, &[place])?.is_empty();
    Ok(match (is_file, is_folder, place.ends_with('/')) {
        (true, ..) | (_, true, true) => Ok(()),
        (false, true, false) => Err(format!("has a folder `{place}`: write `/` behind it")),
        (false, false, _) => Err(format!("has no `{place}`")),
    })
}

fn model(tx: &mut Tx, project: ProjectId, reference: Reference) -> Result<Found> {
    let (found, name) = match reference {
        Reference::Id(id) => {
            let found = store::model::version::get(tx, id)?;
            (found.filter(|version| version.project_id == project), id.to_string())
        }
        Reference::Newest(model) => (newest(tx, project, &model, None)?, model),
        Reference::Tagged(model, tag) => {
            (newest(tx, project, &model, Some(tag.clone()))?, format!("{model}@{tag}"))
        }
    };
    Ok(match found {
        None => Err(format!("there is no model version `{name}` in this project")),
        Some(version) if version.state != State::Available => {
            let why = version.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            Err(format!(
                "model version `{name}` is {}{why}: only available ones can be read",
                version.state.word()
            ))
        }
        Some(version) => Ok(Target {
            kind: Kind::Model,
            id: Some(version.id.to_string()),
            place: String::new(),
            from: version.run_id,
        }),
    })
}

fn newest(tx: &mut Tx, project: ProjectId, model: &str, tag: Option<String>) -> Result<Option<ModelVersion>> {
    let filter = VersionFilter {
        models: vec![model.to_owned()],
        project_ids: vec![project],
        tags: tag.into_iter().collect(),
        states: vec![State::Available],
        limit: 1,
        ..VersionFilter::default()
    };
    Ok(store::model::version::list(tx, &filter)?.pop())
}

fn checkpoint(tx: &mut Tx, run: &Run, step: Step) -> Result<Found> {
    let complete = store::file_set::complete_checkpoints(tx, run.id)?;
    let found = match step {
        Step::Latest => complete.first().cloned(),
        Step::At(step) => complete.iter().find(|set| set.global_step == Some(step)).cloned(),
        Step::Best => {
            let rule = run.spec.checkpoints.as_ref().and_then(|retention| retention.keep_best.as_ref());
            if rule.is_none() {
                return Ok(Err(format!(
                    "run {} has no rule that says which checkpoint is best (`--keep-best`): name a step",
                    run.id
                )));
            }
            file_set::best(tx, run)?
        }
    };
    let Some(set) = found else {
        let steps: Vec<String> =
            complete.iter().filter_map(|set| set.global_step).take(10).map(|step| step.to_string()).collect();
        let why = match step {
            Step::At(step) => format!("at step {step}"),
            Step::Latest => "yet".to_owned(),
            Step::Best => "with a value of its metric".to_owned(),
        };
        let there = if steps.is_empty() { "none".to_owned() } else { steps.join(", ") };
        return Ok(Err(format!("run {} has no complete checkpoint {why}; there is {there}", run.id)));
    };
    let id = Some(set.id.to_string());
    Ok(Ok(Target { kind: Kind::Checkpoint, id, place: String::new(), from: Some(run.id) }))
}

/// A dataset, or one set of it: a name may have a `/` too.
fn dataset(tx: &mut Tx, project: ProjectId, text: &str) -> Result<Found> {
    let (found, set) = match named_dataset(tx, project, text)? {
        Ok(None) => match text.rsplit_once('/') {
            Some((name, set)) => (named_dataset(tx, project, name)?, Some(set)),
            None => (Ok(None), None),
        },
        found => (found, None),
    };
    let dataset = match found {
        Err(reason) => return Ok(Err(reason)),
        Ok(None) => return Ok(Err(format!("there is no dataset `{text}` in this project"))),
        Ok(Some(dataset)) => dataset,
    };
    if let Some(set) = set {
        let sets = store::dataset::sets(tx, dataset.id)?;
        if !sets.iter().any(|known| known.name == set) {
            let known: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
            return Ok(Err(format!(
                "dataset `{}` has no set `{set}`; it has {}",
                dataset.name,
                known.join(", ")
            )));
        }
    }
    if dataset.state != DatasetState::Complete {
        return Ok(Err(format!(
            "dataset `{}` is {}: build it first (`runyard dataset build`)",
            dataset.name,
            dataset.state.word()
        )));
    }
    let (id, place) = (Some(dataset.id.to_string()), set.unwrap_or_default().to_owned());
    Ok(Ok(Target { kind: Kind::Dataset, id, place, from: None }))
}

fn named_dataset(
    tx: &mut Tx,
    project: ProjectId,
    id_or_name: &str,
) -> Result<std::result::Result<Option<Dataset>, String>> {
    let filter = store::dataset::Filter { project_id: Some(project), limit: 10, ..Default::default() };
    let filter = match id_or_name.parse::<DatasetId>() {
        Ok(id) => store::dataset::Filter { ids: vec![id], ..filter },
        Err(_) => store::dataset::Filter { names: vec![id_or_name.to_owned()], ..filter },
    };
    let mut found = Vec::new();
    for dataset in store::dataset::list(tx, &filter)? {
        // Of a corpus that is being deleted, datasets are hidden.
        if store::corpus::get(tx, dataset.corpus_id)?.is_some() {
            found.push(dataset);
        }
    }
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().map(|dataset| dataset.id.to_string()).collect();
        return Ok(Err(format!(
            "several corpora have a dataset `{id_or_name}`: write its id, one of {}",
            ids.join(", ")
        )));
    }
    Ok(Ok(found.pop()))
}
