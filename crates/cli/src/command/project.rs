//! `runyard project`.

use runyard_wire::project::{NewProject, Project};

use super::confirm::confirm;
use crate::{
    args::project::Project as Args,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format},
    time,
};

const HEADER: [&str; 4] = ["NAME", "ID", "CREATED", "DESCRIPTION"];

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let (client, out) = (&context.client, context.out);
    match args {
        Args::Create { name, description } => {
            let project = client.create_project(&NewProject { name, description }).await?;
            out.one(&project, &project.id, || out.table(&HEADER, vec![row(&project)]))?;
        }
        Args::Ls => {
            let projects = client.projects().await?;
            let none = "no projects; make one with `runyard project create NAME`";
            out.list(&projects, |project| project.id.clone(), &HEADER, row, none)?;
        }
        Args::Show { name } => {
            let project = client.project(&name).await?;
            out.one(&project, &project.id, || out.table(&HEADER, vec![row(&project)]))?;
        }
        Args::Rm { name, yes } => {
            let project = client.project(&name).await?;
            confirm(&format!("Delete the project {} with its blueprints and tokens?", project.name), yes)?;
            client.delete_project(&project.id).await?;
            match out.format {
                Format::Quiet => output::line(&project.id)?,
                Format::Json => output::json(&project)?,
                Format::Table | Format::Csv => output::note(format!("deleted {}", project.name)),
            }
        }
    }
    Ok(0)
}

fn row(project: &Project) -> Vec<Cell> {
    vec![
        project.name.as_str().into(),
        project.id.as_str().into(),
        time::moment(project.created_at).into(),
        project.description.as_str().into(),
    ]
}
