//! `runyard dataset`: makes, fills, splits, lists, shows and deletes datasets. Building and downloading have files of their own.

use runyard_client::dataset::Filter;
use runyard_domain::worker_run::{Query, Selection};
use runyard_wire::dataset::{AddElements, Dataset, DatasetPatch, NewDataset, Split};
use serde::Serialize;

use crate::{
    address,
    args::{
        dataset::{Dataset as Args, Split as SplitArgs, Stratify},
        worker::Which,
    },
    command::{confirm::confirm, model::show::row},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    selection, source, time,
};

mod build;
mod pull;

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Create { name, corpus, description, sets } => {
            let corpus = address::corpus::corpus(context, &corpus).await?.id;
            let new = NewDataset { corpus, name, description, sets, ..NewDataset::default() };
            let made = context.client.create_dataset(&new).await?;
            context.out.one(&made, &made.id, || {
                output::line(&made.id)?;
                output::note(format!("created {}; fill it with `runyard dataset split` or `add`", made.name));
                Ok(())
            })?;
        }
        Args::Add { dataset, corpus, to, which } => {
            add(context, &dataset, corpus.as_deref(), to, &which).await?;
        }
        Args::Split(args) => split(context, args).await?,
        Args::Build { dataset, corpus, detach } => {
            let dataset = address::corpus::dataset(context, &dataset, corpus.as_deref()).await?;
            build::run(context, &dataset, detach).await?;
        }
        Args::Reopen { dataset, corpus } => {
            let dataset = address::corpus::dataset(context, &dataset, corpus.as_deref()).await?;
            let open = DatasetPatch { state: Some("open".to_owned()), ..DatasetPatch::default() };
            let opened = context.client.patch_dataset(&dataset.id, &open).await?;
            tell(context, &opened, &format!("{} is open again", opened.name))?;
        }
        Args::Ls { corpus } => list(context, corpus.as_deref()).await?,
        Args::Show { dataset, corpus } => {
            let dataset = address::corpus::dataset(context, &dataset, corpus.as_deref()).await?;
            context.out.one(&dataset, &dataset.id, || context.out.table(&[], facts(&dataset)))?;
        }
        Args::Pull { dataset, folder, corpus } => {
            let dataset = address::corpus::dataset(context, &dataset, corpus.as_deref()).await?;
            pull::run(context, &dataset, folder).await?;
        }
        Args::Rm { datasets, corpus, yes } => remove(context, &datasets, corpus.as_deref(), yes).await?,
    }
    Ok(0)
}

/// A dataset after it was changed, with a sentence for people.
fn tell(context: &Context, dataset: &Dataset, sentence: &str) -> Result<(), Failure> {
    match context.out.format {
        Format::Table => output::note(sentence),
        Format::Quiet => output::line(&dataset.id)?,
        Format::Json => output::json(dataset)?,
        Format::Csv => return Err(output::no_csv()),
    }
    Ok(())
}

/// What `--output json` says of an addition.
#[derive(Serialize)]
struct Added<'a> {
    dataset_id: &'a str,
    set: &'a str,
    /// How many are new there.
    count: i64,
}

async fn add(
    context: &Context,
    dataset: &str,
    corpus: Option<&str>,
    set: String,
    which: &Which,
) -> Result<(), Failure> {
    let dataset = address::corpus::dataset(context, dataset, corpus).await?;
    let selection = selection::read(context, &dataset.corpus_id, which).await?.ok_or_else(|| {
        Failure::usage("nothing says which elements").hint("add --type, --name, --parent, --ids or --set")
    })?;
    let add = AddElements { set: set.clone(), selection };
    let added = context.client.add_dataset_elements(&dataset.id, &add).await?;
    match context.out.format {
        Format::Table => output::note(format!("{}: {added} elements added to {set}", dataset.name)),
        Format::Quiet => output::line(added)?,
        Format::Json => output::json(&Added { dataset_id: &dataset.id, set: &set, count: added })?,
        Format::Csv => return Err(output::no_csv()),
    }
    Ok(())
}

async fn split(context: &Context, args: SplitArgs) -> Result<(), Failure> {
    let dataset = address::corpus::dataset(context, &args.dataset, args.corpus.as_deref()).await?;
    let mut selection = selection::read(context, &dataset.corpus_id, &args.which).await?;
    if args.all {
        selection = Some(Selection { query: Some(Query::default()), ..Selection::default() });
    }
    let worker_run_id = match &args.worker_run {
        Some(text) => Some(address::corpus::worker_run(context, text, false).await?.id),
        None => None,
    };
    let mut shares = std::collections::BTreeMap::new();
    for (set, share) in args.shares {
        if shares.insert(set.clone(), share).is_some() {
            return Err(Failure::usage(format!("the set {set} is named twice")));
        }
    }
    let stratify = args.stratify.map(|what| match what {
        Stratify::Class => "class".to_owned(),
        Stratify::Type => "type".to_owned(),
    });
    let split = Split { shares, seed: args.seed, selection, stratify, worker_run_id };
    let split = context.client.split_dataset(&dataset.id, &split).await?;
    tell(context, &split, &format!("{}: {}", split.name, sets(&split)))
}

/// `train 80, test 20`.
fn sets(dataset: &Dataset) -> String {
    let each: Vec<String> = dataset.sets.iter().map(|set| format!("{} {}", set.name, set.elements)).collect();
    each.join(", ")
}

async fn list(context: &Context, corpus: Option<&str>) -> Result<(), Failure> {
    let corpus_id = match corpus {
        Some(text) => vec![address::corpus::corpus(context, text).await?.id],
        None => Vec::new(),
    };
    let filter = Filter { corpus_id, limit: Some(1000), ..Filter::default() };
    let found = context.client.datasets(&filter).await?;
    let now = time::now();
    context.out.list(
        &found,
        |dataset| dataset.id.clone(),
        &["ID", "NAME", "STATE", "SETS", "ARCHIVE", "AGE"],
        |dataset: &Dataset| {
            vec![
                dataset.id.as_str().into(),
                dataset.name.as_str().into(),
                state_cell(&dataset.state),
                sets(dataset).into(),
                dataset
                    .archive
                    .as_ref()
                    .map(|archive| source::bytes(archive.size))
                    .unwrap_or_default()
                    .into(),
                time::age(now - dataset.created_at).into(),
            ]
        },
        "no datasets; `runyard dataset create NAME --corpus CORPUS` makes one",
    )
}

fn state_cell(state: &str) -> Cell {
    let tone = match state {
        "complete" => Tone::Good,
        "error" => Tone::Bad,
        "building" => Tone::Busy,
        _ => Tone::Plain,
    };
    Cell::new(state, tone)
}

fn facts(dataset: &Dataset) -> Vec<Vec<Cell>> {
    let mut rows = vec![
        row("id", dataset.id.as_str()),
        row("name", dataset.name.as_str()),
        row("state", state_cell(&dataset.state)),
    ];
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push(row(name, value));
        }
    };
    fact("", dataset.error.clone());
    fact("description", Some(dataset.description.clone()));
    fact("corpus", Some(dataset.corpus_id.clone()));
    fact("sets", Some(sets(dataset)));
    fact("seed", dataset.seed.map(|seed| seed.to_string()));
    if let Some(archive) = &dataset.archive {
        fact("archive", Some(format!("{} in {}", archive.name, source::bytes(archive.size))));
        fact("files", Some(archive.files.to_string()));
        fact("SHA-256", Some(archive.sha256.clone()));
    }
    fact("created", Some(time::moment(dataset.created_at)));
    rows
}

async fn remove(context: &Context, texts: &[String], corpus: Option<&str>, yes: bool) -> Result<(), Failure> {
    let mut found: Vec<Dataset> = Vec::new();
    for text in texts {
        let one = address::corpus::dataset(context, text, corpus).await?;
        if !found.iter().any(|known| known.id == one.id) {
            found.push(one);
        }
    }
    let names: Vec<&str> = found.iter().map(|dataset| dataset.name.as_str()).collect();
    let many = if found.len() == 1 { "dataset" } else { "datasets" };
    confirm(&format!("Delete the {many} {}? The elements stay.", names.join(", ")), yes)?;
    let mut gone = Vec::new();
    for dataset in &found {
        let deleted = context.client.delete_dataset(&dataset.id).await?;
        match context.out.format {
            Format::Table => output::note(format!(
                "deleted the dataset {}, freed {}",
                dataset.name,
                source::bytes(deleted.freed_bytes)
            )),
            Format::Quiet => output::line(&dataset.id)?,
            Format::Json | Format::Csv => gone.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&gone)?;
    }
    Ok(())
}
