//! `runyard blueprint`.

use runyard_client::blueprint::Filter;
use runyard_wire::blueprint::{Blueprint, NewBlueprint};
use serde_json::Value;

use super::confirm::confirm;
use crate::{
    address,
    args::blueprint::{Blueprint as Args, Create},
    config,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format, Tone},
    show, source, submission, time,
};

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Create(create) => self::create(context, *create).await?,
        Args::Ls { name, limit } => ls(context, name, limit).await?,
        Args::Show(one) => {
            let blueprint = address::blueprint(context, &one.blueprint).await?;
            context.out.one(&blueprint, &blueprint.id, || tell(context, &blueprint))?;
        }
        Args::Validate { blueprint, config } => {
            let blueprint = address::blueprint(context, &blueprint.blueprint).await?;
            let config = config::read(config.config.as_deref(), &config.set)?.unwrap_or_default();
            context.client.validate_blueprint(&blueprint.id, Value::Object(config)).await?;
            match context.out.format {
                Format::Table | Format::Csv => output::note("the config is valid"),
                Format::Json => output::json(&blueprint)?,
                Format::Quiet => output::line(&blueprint.id)?,
            }
        }
        Args::Rm { blueprint, yes } => {
            let blueprint = address::blueprint(context, &blueprint.blueprint).await?;
            let name = format!("{}@{}", blueprint.name, blueprint.version);
            confirm(&format!("Delete the blueprint {name}?"), yes)?;
            context.client.delete_blueprint(&blueprint.id).await?;
            match context.out.format {
                Format::Table | Format::Csv => output::note(format!("deleted {name}; runs made of it stay")),
                Format::Json => output::json(&blueprint)?,
                Format::Quiet => output::line(&blueprint.id)?,
            }
        }
    }
    Ok(0)
}

async fn create(context: &Context, args: Create) -> Result<(), Failure> {
    let folder = args.source().cloned();
    if let Some(folder) = &folder {
        source::check(folder)?;
    }
    let mut new = body(args, context.project.clone())?;
    if let Some(folder) = folder {
        let tell = context.out.format == Format::Table;
        new.source = Some(source::bring(&context.client, &folder, tell).await?);
    }
    let blueprint = context.client.create_blueprint(&new).await?;
    context.out.one(&blueprint, &blueprint.id, || tell(context, &blueprint))
}

/// The file's blueprint with the options laid over it.
fn body(args: Create, project: Option<String>) -> Result<NewBlueprint, Failure> {
    let mut new = match &args.file {
        None => NewBlueprint::default(),
        Some(file) => from_file(config::json(file, "--file")?)?,
    };
    if let Some(project) = project {
        new.project_id = project;
    } else if new.project_id.is_empty() {
        "default".clone_into(&mut new.project_id);
    }
    new.name = args.name.unwrap_or(new.name);
    new.version = args.version.unwrap_or(new.version);
    new.description = args.description.unwrap_or(new.description);
    new.image = args.image.or(new.image);
    if let Some(schema) = &args.schema {
        new.config_schema = Some(config::json(schema, "--schema")?);
    }
    if !args.task_types.is_empty() {
        new.task_types = args.task_types;
    }
    if !args.command.is_empty() {
        new.command = args.command;
    }
    let requirements = submission::requirements(&args.code)?;
    if !requirements.is_empty() {
        new.requirements = requirements;
    }
    new.env.extend(args.code.env);
    if let Some(resources) = submission::resources(&args.resources, new.resources.as_ref())? {
        new.resources = Some(resources);
    }
    for (field, value, option) in
        [("name", &new.name, "NAME"), ("version", &new.version, "--version VERSION")]
    {
        if value.is_empty() {
            return Err(Failure::usage(format!("the blueprint has no {field}"))
                .hint(format!("give {option}, or write it into the file of --file")));
        }
    }
    Ok(new)
}

/// The project may be left out of the file: it is named by --project.
fn from_file(mut value: Value) -> Result<NewBlueprint, Failure> {
    if let Some(object) = value.as_object_mut() {
        for field in ["project_id", "name", "version"] {
            object.entry(field).or_insert_with(|| Value::String(String::new()));
        }
    }
    serde_json::from_value(value).map_err(|error| Failure::usage(format!("--file is no blueprint: {error}")))
}

async fn ls(context: &Context, name: Option<String>, limit: i64) -> Result<(), Failure> {
    let filter = Filter {
        project_id: context.project.iter().cloned().collect(),
        name: name.into_iter().collect(),
        sort: Some("created_at:desc".to_owned()),
        limit: Some(limit),
        ..Filter::default()
    };
    let blueprints = context.client.blueprints(&filter).await?;
    context.out.list(
        &blueprints,
        |blueprint| blueprint.id.clone(),
        &["NAME", "VERSION", "ID", "TASK TYPES", "CREATED", "DESCRIPTION"],
        |blueprint| {
            vec![
                blueprint.name.as_str().into(),
                blueprint.version.as_str().into(),
                blueprint.id.as_str().into(),
                blueprint.task_types.join(", ").into(),
                time::moment(blueprint.created_at).into(),
                blueprint.description.as_str().into(),
            ]
        },
        "no blueprints; make one with `runyard blueprint create NAME --version 1 -- python train.py`",
    )
}

fn tell(context: &Context, blueprint: &Blueprint) -> Result<(), Failure> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![Cell::new(name, Tone::Dim), value.into()]);
        }
    };
    fact("id", blueprint.id.clone());
    fact("name", blueprint.name.clone());
    fact("version", blueprint.version.clone());
    fact("description", blueprint.description.clone());
    fact("created", format!("{} by {}", time::moment(blueprint.created_at), blueprint.user_id));
    fact("task types", blueprint.task_types.join(", "));
    fact("command", show::command(&blueprint.command));
    fact("image", blueprint.image.clone().unwrap_or_default());
    fact("source", blueprint.source.clone().unwrap_or_default());
    fact("requirements", blueprint.requirements.join(", "));
    fact("resources", blueprint.resources.as_ref().map(show::resources).unwrap_or_default());
    for (key, value) in &blueprint.env {
        fact("env", format!("{key}={value}"));
    }
    context.out.table(&[], rows)?;
    let schema = serde_json::to_string_pretty(&blueprint.config_schema).unwrap_or_default();
    output::line(format!("\nschema of the config:\n{schema}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args;

    fn create(words: &[&str]) -> Result<NewBlueprint, String> {
        let words = ["runyard", "blueprint", "create"].iter().chain(words);
        let args = args::Args::try_parse_from(words).map_err(|error| error.to_string())?;
        let args::Command::Blueprint(Args::Create(create)) = args.command else { panic!("not a create") };
        body(*create, None).map_err(|failure| failure.to_string())
    }

    #[test]
    fn options_are_laid_over_the_file() {
        let file = r#"{"name": "net", "version": "1", "requirements": ["numpy"], "resources": {"cpu": "2"}}"#;
        let new =
            create(&["--file", file, "--version", "2", "--memory", "1Gi", "--", "python", "t.py"]).unwrap();
        assert_eq!(
            (new.name.as_str(), new.version.as_str(), new.project_id.as_str()),
            ("net", "2", "default")
        );
        assert_eq!((new.requirements.as_slice(), new.command.len()), (["numpy".to_owned()].as_slice(), 2));
        let resources = new.resources.unwrap();
        assert_eq!((resources.cpu.as_str(), resources.memory.as_deref()), ("2", Some("1Gi")));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert!(create(&["net"]).unwrap_err().contains("no version"));
        assert!(create(&["--version", "1"]).unwrap_err().contains("no name"));
        let error = create(&["--file", r#"{"nam": "x"}"#]).unwrap_err();
        assert!(error.contains("`nam`"), "{error}");
    }
}
