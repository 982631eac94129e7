//! `runyard model rm`: versions, and models with all of theirs.

use crate::{
    address::model::{Meant, meant, title},
    command::confirm::confirm,
    context::Context,
    failure::Failure,
    output::{self, Format},
    source,
};

pub(super) async fn run(context: &Context, texts: &[String], yes: bool) -> Result<(), Failure> {
    let mut found: Vec<Meant> = Vec::new();
    for text in texts {
        let one = meant(context, text).await?;
        if !found.iter().any(|known| id(known) == id(&one)) {
            found.push(one);
        }
    }
    let names: Vec<String> = found.iter().map(name).collect();
    confirm(&format!("Delete {}?", names.join(", ")), yes)?;
    let mut gone = Vec::new();
    for one in &found {
        let deleted = match one {
            Meant::Version(_) => context.client.delete_model_version(id(one)).await,
            Meant::Model(_) => context.client.delete_model(id(one), None).await,
        };
        let deleted = match deleted {
            // It went with its model, or somebody was faster.
            Err(error) if error.status() == Some(404) && error.code().is_some() => continue,
            deleted => deleted?,
        };
        match context.out.format {
            Format::Table => {
                output::note(format!("deleted {}, freed {}", name(one), source::bytes(deleted.freed_bytes)));
            }
            Format::Quiet => output::line(id(one))?,
            Format::Json | Format::Csv => gone.push(deleted),
        }
    }
    if context.out.format == Format::Json {
        output::json(&gone)?;
    }
    Ok(())
}

fn id(one: &Meant) -> &str {
    match one {
        Meant::Version(version) => version.id.as_deref().unwrap_or_default(),
        Meant::Model(model) => &model.id,
    }
}

fn name(one: &Meant) -> String {
    match one {
        Meant::Version(version) => format!("the version {}", title(version)),
        Meant::Model(model) => {
            let many = if model.versions == 1 { "version" } else { "versions" };
            format!("the model {} with {} {many}", model.name, model.versions)
        }
    }
}
