//! `runyard element`: lists, shows and deletes elements. Importing has files of its own.

use runyard_client::element::Filter;
use runyard_wire::{element::Element, result::ElementResults};
use serde::Serialize;

use crate::{
    address,
    args::element::{Element as Args, Ls},
    command::{confirm::confirm, ls::pattern, model::show::row},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    time,
};

mod images;
mod import;
mod lines;
mod table;

/// Elements of one answer.
const PAGE: i64 = 1000;
/// Children that are shown with an element.
const SHOWN: i64 = 20;

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Import(args) => import::run(context, args).await?,
        Args::Ls(args) => list(context, args).await?,
        Args::Show { element } => show(context, &element).await?,
        Args::Rm { elements, yes } => remove(context, &elements, yes).await?,
    }
    Ok(0)
}

async fn list(context: &Context, args: Ls) -> Result<(), Failure> {
    let corpus = address::corpus::corpus(context, &args.corpus).await?;
    let parent = match &args.parent {
        Some(text) => Some(address::corpus::element(context, &corpus.id, text).await?.to_string()),
        None => None,
    };
    let mut filter = Filter {
        of_type: args.types,
        name_ilike: args.name.as_deref().map(pattern).into_iter().collect(),
        top_level: args.top_level.then_some(true),
        recursive: args.recursive.then_some(true),
        ..Filter::default()
    };
    let mut found: Vec<Element> = Vec::new();
    while (found.len() as i64) < args.limit {
        let limit = PAGE.min(args.limit - found.len() as i64);
        filter.limit = Some(limit);
        filter.id_after = found.last().map(|last| last.id.clone());
        let page = match &parent {
            Some(parent) => context.client.element_children(parent, &filter).await?,
            None => context.client.elements(&corpus.id, &filter).await?,
        };
        let last = (page.len() as i64) < limit;
        found.extend(page);
        if last {
            break;
        }
    }
    let none = "no elements; `runyard element import FILE --corpus CORPUS` brings some";
    context.out.list(&found, |element| element.id.clone(), &HEADER, element_row, none)
}

const HEADER: [&str; 5] = ["ID", "TYPE", "NAME", "IMAGE", "AGE"];

fn element_row(element: &Element) -> Vec<Cell> {
    let image = element.image.as_ref().map(|image| image.url.as_str()).unwrap_or_default();
    vec![
        element.id.as_str().into(),
        element.of_type.as_str().into(),
        element.name.as_str().into(),
        Cell::new(image, Tone::Dim),
        time::age(time::now() - element.created_at).into(),
    ]
}

/// What `--output json` says.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    element: Element,
    results: ElementResults,
}

async fn show(context: &Context, id: &str) -> Result<(), Failure> {
    let element = context.client.element(id).await?;
    let results = context.client.element_results(id).await?;
    let limit = Filter { limit: Some(SHOWN + 1), ..Filter::default() };
    let children = match context.out.format {
        Format::Table => context.client.element_children(id, &limit).await?,
        _ => Vec::new(),
    };
    let shown = Shown { element, results };
    context.out.one(&shown, id, || people(context, &shown, &children))
}

fn people(context: &Context, shown: &Shown, children: &[Element]) -> Result<(), Failure> {
    context.out.table(&[], facts(&shown.element))?;
    let found = found(&shown.results);
    if !found.is_empty() {
        output::text("\n")?;
        context.out.table(&["RESULT", "VALUE", "CONFIDENCE", "BY"], found)?;
    }
    if !children.is_empty() {
        output::text("\n")?;
        context.out.table(&HEADER, children.iter().take(SHOWN as usize).map(element_row).collect())?;
    }
    if children.len() as i64 > SHOWN {
        output::note(format!(
            "and more: `runyard element ls --corpus {} --parent {}` lists them",
            shown.element.corpus_id, shown.element.id
        ));
    }
    Ok(())
}

fn facts(element: &Element) -> Vec<Vec<Cell>> {
    let mut rows = vec![
        row("id", element.id.as_str()),
        row("type", element.of_type.as_str()),
        row("name", element.name.as_str()),
        row("corpus", element.corpus_id.as_str()),
    ];
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push(row(name, value));
        }
    };
    fact("parents", element.parents.as_ref().map(|parents| parents.join(", ")));
    fact("image", element.image.as_ref().map(|image| image.url.clone()));
    let size = element.image.as_ref().and_then(|image| Some(format!("{} x {}", image.width?, image.height?)));
    fact("size", size);
    fact("polygon", element.polygon.as_ref().and_then(|polygon| serde_json::to_string(polygon).ok()));
    fact("rotation", (element.rotation_angle != 0).then(|| format!("{} degrees", element.rotation_angle)));
    fact("mirrored", element.mirrored.then(|| "yes".to_owned()));
    fact("confidence", element.confidence.map(|confidence| confidence.to_string()));
    fact("payload", element.payload.as_ref().and_then(|payload| serde_json::to_string(payload).ok()));
    fact("made by worker run", element.worker_run_id.clone());
    fact("created", Some(time::moment(element.created_at)));
    rows
}

/// Results as rows, with who found them.
fn found(results: &ElementResults) -> Vec<Vec<Cell>> {
    let by = |run: Option<&String>| Cell::new(run.map_or("a person", |run| address::short(run)), Tone::Dim);
    let number = |confidence: Option<f64>| confidence.map(|one| one.to_string()).unwrap_or_default();
    let classes = results.classifications.iter().map(|one| {
        vec![
            "class".into(),
            one.class.as_str().into(),
            number(Some(one.confidence)).into(),
            by(one.worker_run_id.as_ref()),
        ]
    });
    let texts = results.transcriptions.iter().map(|one| {
        let line = one.text.lines().next().unwrap_or_default();
        vec!["text".into(), line.into(), number(one.confidence).into(), by(one.worker_run_id.as_ref())]
    });
    let metadata = results.metadata.iter().map(|one| {
        let value = format!("{} = {}", one.name, one.value);
        vec!["metadata".into(), value.into(), "".into(), by(one.worker_run_id.as_ref())]
    });
    classes.chain(texts).chain(metadata).collect()
}

async fn remove(context: &Context, ids: &[String], yes: bool) -> Result<(), Failure> {
    let mut names = Vec::new();
    for id in ids {
        names.push(context.client.element(id).await?.name);
    }
    let many = if ids.len() == 1 { "element" } else { "elements" };
    confirm(&format!("Delete the {many} {} with everything below?", names.join(", ")), yes)?;
    let mut gone = Vec::new();
    for (id, name) in ids.iter().zip(&names) {
        let deleted = match context.client.delete_element(id).await {
            // It went with one above it, or somebody was faster.
            Err(error) if error.status() == Some(404) && error.code().is_some() => continue,
            deleted => deleted?,
        };
        match context.out.format {
            Format::Table => output::note(format!("deleted {name}: {} elements in all", deleted.deleted)),
            Format::Quiet => output::line(id)?,
            Format::Json | Format::Csv => gone.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&gone)?;
    }
    Ok(())
}
