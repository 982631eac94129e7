//! One step up and one step down from a run: what it read and who made that, what it made and who reads that.

use std::collections::HashMap;

use runyard_domain::{
    FileSetId, RunId,
    channel::{ARTIFACT, Direction, Kind},
    checkpoint::Status,
    run::Run,
};
use runyard_store::{
    self as store, Tx,
    channel::Link,
    file_set::{FileSet, Filter},
    model::version::{Filter as VersionFilter, ModelVersion},
};

use crate::{Actor, Engine, Error, Result, run::visible};

/// Runs that read what a run has made, and versions that it has made: so many are named.
const NAMED_MAX: i64 = 1_000;

/// Where a run stands among others.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// What it reads.
    pub inputs: Vec<Up>,
    /// What it writes.
    pub outputs: Vec<Out>,
    /// Model versions that it has made, the newest first.
    pub versions: Vec<ModelVersion>,
    /// Inputs of other runs that it has made, the newest runs first.
    pub used_by: Vec<(Link, Option<Run>)>,
}

/// An input, and what made it.
#[derive(Debug, Clone)]
pub struct Up {
    /// The link.
    pub link: Link,
    /// A name of what it leads to, for people.
    pub title: Option<String>,
    /// The run that made it, while that is there.
    pub run: Option<Run>,
}

/// An output, and what is there of it.
#[derive(Debug, Clone)]
pub struct Out {
    /// The link.
    pub link: Link,
    /// Of one that is kept here: the artifact that has it.
    pub artifact: Option<FileSet>,
}

/// Inputs and outputs of a run, and the runs that they link it to.
pub async fn lineage(engine: &Engine, actor: &Actor, id: RunId) -> Result<Lineage> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let run = visible(&actor, id, store::run::get(tx, id)?)?;
            let links = store::channel::of_run(tx, id)?;
            let used_by = store::channel::out_of(tx, id, NAMED_MAX)?;
            let ids: Vec<RunId> = links
                .iter()
                .filter_map(|link| link.from_run_id)
                .chain(used_by.iter().map(|link| link.run_id))
                .collect();
            // A link never leads to another project: what made it may be named.
            let runs: HashMap<RunId, Run> =
                store::run::by_ids(tx, &ids)?.into_iter().map(|run| (run.id, run)).collect();
            let mut lineage = Lineage { versions: versions(tx, &run)?, ..Lineage::default() };
            for link in links {
                if link.direction == Direction::Input {
                    let from = link.from_run_id.and_then(|from| runs.get(&from).cloned());
                    lineage.inputs.push(Up { title: title(tx, &link)?, run: from, link });
                } else {
                    lineage.outputs.push(Out { artifact: artifact(tx, &link)?, link });
                }
            }
            lineage.used_by =
                used_by.into_iter().map(|link| (link.clone(), runs.get(&link.run_id).cloned())).collect();
            Ok::<_, Error>(lineage)
        })
        .await
}

/// What people call the thing that an input leads to, while it is there.
fn title(tx: &mut Tx, link: &Link) -> Result<Option<String>> {
    let Some(id) = &link.target_id else { return Ok(None) };
    Ok(match link.kind {
        Kind::Model => match id.parse() {
            Ok(id) => store::model::version::get(tx, id)?.map(|version| match version.tag {
                Some(tag) => format!("{}@{tag}", version.model),
                None => version.model,
            }),
            Err(_) => None,
        },
        Kind::Dataset => match id.parse() {
            Ok(id) => store::dataset::get(tx, id)?.map(|dataset| dataset.name),
            Err(_) => None,
        },
        Kind::Artifact | Kind::Checkpoint => match id.parse::<FileSetId>() {
            Ok(id) => {
                let set = store::file_set::get(tx, id)?.filter(|set| set.status != Status::Deleted);
                set.map(|set| match set.global_step {
                    Some(step) => format!("step {step}"),
                    None => set.name.unwrap_or_default(),
                })
            }
            Err(_) => None,
        },
        Kind::Upload | Kind::S3 | Kind::Oss => None,
    })
}

/// The newest artifact that keeps an output.
fn artifact(tx: &mut Tx, link: &Link) -> Result<Option<FileSet>> {
    if link.kind != Kind::Artifact {
        return Ok(None);
    }
    let filter = Filter {
        run_ids: vec![link.run_id],
        names: vec![format!("{ARTIFACT}{}", link.channel)],
        limit: 1,
        ..Filter::of(runyard_domain::checkpoint::Kind::Artifact)
    };
    Ok(store::file_set::list(tx, &filter)?.pop())
}

fn versions(tx: &mut Tx, run: &Run) -> Result<Vec<ModelVersion>> {
    let filter = VersionFilter { run_ids: vec![run.id], limit: NAMED_MAX, ..VersionFilter::default() };
    Ok(store::model::version::list(tx, &filter)?)
}
