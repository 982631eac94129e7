//! `runyard corpus`.

use runyard_client::corpus::Filter;
use runyard_wire::corpus::{Corpus, NewCorpus, NewElementType};

use crate::{
    address,
    args::corpus::Corpus as Args,
    command::confirm::confirm,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    time,
};

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Ls => list(context).await?,
        Args::Create { name, description, types } => {
            let slug = |slug| NewElementType { slug, ..NewElementType::default() };
            let new = NewCorpus {
                project_id: context.project.clone(),
                name,
                description,
                types: types.into_iter().map(slug).collect(),
                ..NewCorpus::default()
            };
            let made = context.client.create_corpus(&new).await?;
            context.out.one(&made, &made.id, || {
                output::line(&made.id)?;
                output::note(format!(
                    "created {0}; fill it with `runyard element import pages.jsonl --corpus {0}`",
                    made.name
                ));
                Ok(())
            })?;
        }
        Args::Rm { corpora, yes } => remove(context, &corpora, yes).await?,
    }
    Ok(0)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let project_id = context.project.iter().cloned().collect();
    let found =
        context.client.corpora(&Filter { project_id, limit: Some(1000), ..Filter::default() }).await?;
    let now = time::now();
    context.out.list(
        &found,
        |corpus| corpus.id.clone(),
        &["ID", "NAME", "AGE", "DESCRIPTION"],
        |corpus: &Corpus| {
            vec![
                corpus.id.as_str().into(),
                corpus.name.as_str().into(),
                time::age(now - corpus.created_at).into(),
                Cell::new(corpus.description.lines().next().unwrap_or_default(), Tone::Dim),
            ]
        },
        "no corpora; `runyard corpus create NAME` makes one",
    )
}

async fn remove(context: &Context, texts: &[String], yes: bool) -> Result<(), Failure> {
    let mut found: Vec<Corpus> = Vec::new();
    for text in texts {
        let one = address::corpus::corpus(context, text).await?;
        if !found.iter().any(|known| known.id == one.id) {
            found.push(one);
        }
    }
    let names: Vec<&str> = found.iter().map(|corpus| corpus.name.as_str()).collect();
    let many = if found.len() == 1 { "corpus" } else { "corpora" };
    confirm(&format!("Delete the {many} {} with everything below?", names.join(", ")), yes)?;
    for corpus in &found {
        context.client.delete_corpus(&corpus.id).await?;
        match context.out.format {
            Format::Table => output::note(format!("deleted the corpus {}", corpus.name)),
            Format::Quiet => output::line(&corpus.id)?,
            Format::Json | Format::Csv => {}
        }
    }
    if context.out.format == Format::Json {
        output::json(&found)?;
    }
    Ok(())
}
